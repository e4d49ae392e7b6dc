//! A restore with Rancher's webhook in the cluster: drover alone is left out of it, for as long as it writes, and
//! everything comes back as it was saved; whatever else asks is judged all the time.

mod command_line;
mod guide;
mod killed;
mod repair;
mod scene;
mod stand_in;
mod world;
