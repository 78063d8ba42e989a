//! The words in which everything else speaks: newtypes and enums, no policy, no clock, no I/O.

mod change;
mod claim;
mod definition;
mod event;
mod fingerprint;
mod harmless;
mod ids;
mod image;
pub mod letter;
mod observation;
mod outcome;
mod record;
mod rules;
mod settings;
mod tag_policy;
mod target;
mod time;

pub use change::*;
pub use claim::*;
pub use definition::*;
pub use event::*;
pub use fingerprint::*;
pub use harmless::*;
pub use ids::*;
pub use image::*;
pub use letter::DeadLetter;
pub use observation::*;
pub use outcome::*;
pub use record::*;
pub use rules::*;
pub use settings::*;
pub use tag_policy::*;
pub use target::*;
pub use time::*;
