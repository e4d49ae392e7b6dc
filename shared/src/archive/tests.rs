//! Archives that must be read, archives that must be refused, and what becomes of one whose bytes change.

mod broken;
mod contents;
mod damage;
mod encrypted;
mod fixture;
mod names;
mod round_trip;
mod spool;
