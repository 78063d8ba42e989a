//! Which targets there are, what each depends on, and what they should have seen of it.
//!
//! | module | does |
//! |---|---|
//! | [`drift`] | changes that targets seem not to have seen |
//! | [`lost`] | such a change as a message |

pub mod drift;
pub mod lost;
