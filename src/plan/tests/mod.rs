//! The planner's decisions, as stories.

mod carriers;
mod folding;
mod judging;
mod leases;
mod promises;
mod settling;
mod superseding;
mod time;
mod trying_again;
