//! The testbed with its real parts. Each test starts a testbed of its own.

#[path = "testbed/building.rs"]
mod building;
#[path = "testbed/node.rs"]
mod node;
#[path = "testbed/ownership.rs"]
mod ownership;
#[path = "testbed/services.rs"]
mod services;
#[path = "testbed/traces.rs"]
mod traces;
#[path = "testbed/wait.rs"]
mod wait;

/// What a test gives back.
type Outcome = Result<(), Box<dyn std::error::Error>>;
