//! Archives on their way from snapshot to upload: the JetStream object store.
//!
//! The bucket `drover-artifacts` has the wire format of every NATS client, so that `nats object` lists and reads it
//! (<https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-20.md>): chunks of 128 KiB on
//! `$O.<bucket>.C.<id>`, then one message on `$O.<bucket>.M.<name>` with size and digest. An artifact exists once that
//! last message does.
//!
//! - The id of the chunks is made, and recorded in the run, before the first chunk is sent. Whoever finds the record of
//!   a put that was killed purges both subjects, and nothing is left.
//! - A name is written once. A second put of one name fails instead of taking the first one's place.
//! - Nothing holds an artifact in memory: some chunks are under way at a time, in either direction.
//!
//! Own `put` and `get` over async-nats' streams and its `ObjectInfo`, since its own (0.51) do not serve here: `put` keeps
//! the id of its chunks to itself and leaves those of a failed put behind, awaits every chunk's acknowledgment alone, and
//! the last writer of a name wins; `get` is a push consumer that hands out all bytes before it compares the digest, and
//! waits for ever where chunks have expired.

mod get;
mod put;
mod store;

pub use self::get::GetError;
pub use self::put::{Put, PutError, Upload};
pub use self::store::{BUCKET, CHUNK_SIZE, Contents, Fill, Info, PATIENCE, STREAM, Store, StoreError};
