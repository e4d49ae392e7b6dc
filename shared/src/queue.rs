//! The stream, its consumers, and the drain of one.
//!
//! ```text
//! publish ──▶ stream DROVER ──consumer `upload`──▶ drain: one message at a time
//!               drover.backup.>                      Done     acknowledged, and that confirmed
//!               drover.restore.>                     Refused  copied to drover.dead.>, terminated
//!               drover.dead.>                        Failed   held until the drain ends, then given back at once
//! ```
//!
//! [`setup`] makes and changes stream, consumers and object store; jobs only use them. Messages only trigger: they may
//! come twice, late, or out of the hands of somebody else, and what is true is in the runs.

mod address;
mod connection;
mod dead;
mod decision;
mod delivery;
mod drain;
mod endpoint;
mod failure;
mod names;
mod nkey;
mod permissions;
mod publish;
mod settings;
mod setup;
mod survey;
mod telling;

pub use self::address::{Address, Password};
pub use self::connection::{ConnectError, Connection, NatsOptions, connect};
pub use self::drain::{DrainError, Handler, Outcome, Summary, drain};
pub use self::endpoint::nats;
pub(crate) use self::failure::error_code;
pub use self::names::{
    BACKUP_EVENTS, CONSUMERS, HEARTBEAT_CONSUMER, RESTORE_EVENTS, RETENTION_PRUNE_CONSUMER, STREAM, UPLOAD_CONSUMER,
};
pub use self::nkey::NkeyError;
pub use self::permissions::{JOBS, Permission, User, users};
pub use self::publish::{PublishError, Published, publish};
pub use self::settings::Settings;
pub use self::setup::{SetupError, setup};
pub use self::survey::{Survey, SurveyError, Waiting, survey};
pub use self::telling::{away_words, connect_telling};
