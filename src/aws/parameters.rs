//! Parameters of SSM: when they were last written. Values are never read.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_ssm::types::ParameterStringFilter;

use super::{
    failure::Fault,
    reads::{MOST_PAGES, endless, following, time},
    sources::Reach,
};
use crate::domain::Timestamp;

/// AWS's bound for the values of one filter, and for one page.
const NAMES_PER_CALL: usize = 50;

impl Reach {
    /// When these parameters were last written; those that are not there are left out.
    pub(super) async fn parameters(
        &self,
        names: &[Arc<str>],
    ) -> Result<BTreeMap<Arc<str>, Timestamp>, Fault> {
        let mut written = BTreeMap::new();
        for names in names.chunks(NAMES_PER_CALL) {
            self.read_parameters(names, &mut written).await?;
        }
        Ok(written)
    }

    /// A page may be empty although another follows; none is asked for once all names are found.
    async fn read_parameters(
        &self,
        names: &[Arc<str>],
        written: &mut BTreeMap<Arc<str>, Timestamp>,
    ) -> Result<(), Fault> {
        let values = names.iter().map(|name| String::from(&**name)).collect();
        let filter = ParameterStringFilter::builder().key("Name").option("Equals").set_values(Some(values));
        let filter = filter.build().map_err(|error| Fault::unusable(error.to_string()))?;
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let call = || {
                let call = self.ssm.describe_parameters().parameter_filters(filter.clone());
                call.max_results(50).set_next_token(token.clone()).send()
            };
            let page = self.reads.ask("ssm", "DescribeParameters", call).await?;
            written.extend(page.parameters().iter().filter_map(|parameter| {
                Some((parameter.name()?.into(), time(parameter.last_modified_date())?))
            }));
            token = following(page.next_token);
            if token.is_none() || names.iter().all(|name| written.contains_key(name)) {
                return Ok(());
            }
        }
        Err(endless())
    }
}
