//! placeholder
use super::Ended;
/// Options.
#[derive(Debug, clap::Args)]
pub(super) struct Options {}
pub(super) fn demo(_: &Options) -> Ended {
    Ended::Done
}
