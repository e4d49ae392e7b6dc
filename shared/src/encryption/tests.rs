//! What is encrypted reads back, here and by others; what a configuration must not be; what hostile entries do.

mod fixture;
mod hostile;
mod independent;
mod loader;
mod mac;
mod refusals;
mod rules;
mod secrecy;
