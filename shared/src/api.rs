//! The API server, asked for objects as bytes: the one way to ask it, to ask it again, to read a list to its end and to say
//! why there is no answer.
//!
//! ```text
//! RestClient ──▶ Limiter: so many requests in flight ──▶ one try, with its time and size ──▶ bytes, or a RequestError
//! Cursor (pure): the next page of a list, from the answer to the last one
//! discover ──▶ which types there are, as selection decides by them
//! ```

mod api_service;
mod continuation;
mod cursor;
mod discovery;
mod error;
mod limiter;
mod refusal;
mod rest_client;

pub use api_service::ApiService;
pub use cursor::{Cursor, PageError, PageSizes, Taken};
pub use discovery::{DiscoveryError, discover};
pub use error::RequestError;
pub(crate) use error::exit_of;
pub use refusal::{ANSWERED_WITH_ERROR, SERVICE_AWAY};
pub use rest_client::{Limits, Request, RestClient};
