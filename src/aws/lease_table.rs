//! The lease table: one item in DynamoDB, read with all writes before it, and written on a condition.
//!
//! The table has the partition key `pk`, a string, and no sort key. The item's key is the ARN of the queue, so that
//! Lockkeepers of several queues can share a table; `holder` and `counter` are its claim. An item without `holder` was
//! given back.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};

use super::{
    Connections,
    failure::{Fault, Kind},
    observe::Calls,
};
use crate::domain::{Claim, ClaimWrite, Expects, MemberId};

const KEY: &str = "pk";
const HOLDER: &str = "holder";
const COUNTER: &str = "counter";

const GET: &str = "GetItem";
const UPDATE: &str = "UpdateItem";

/// One item of the table.
#[derive(Clone, Debug)]
pub struct LeaseTable {
    client: Client,
    table: String,
    item: String,
    calls: Calls,
}

/// A call to the table that failed, in one line, with its mend where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TableError(String);

impl Connections {
    /// The item with this key in the table of this name.
    pub fn lease_table(&self, table: &str, item: &str) -> LeaseTable {
        LeaseTable {
            client: self.dynamodb(),
            table: table.into(),
            item: item.into(),
            calls: self.calls().clone(),
        }
    }
}

impl LeaseTable {
    /// What the item says, if there is one.
    pub async fn read(&self) -> Result<Option<Claim>, TableError> {
        let call = self.client.get_item().table_name(&self.table).consistent_read(true);
        let call = call.key(KEY, self.key()).send();
        let answer = self.calls.make("dynamodb", GET, call).await;
        let answer = answer.map_err(|fault| self.error(&fault, GET))?;
        answer.item.map(|item| self.claim(&item)).transpose()
    }

    /// Writes the item if it is as expected, and says whether it was. Tried once: a write whose answer was lost may
    /// have taken effect.
    pub async fn write(&self, write: &ClaimWrite) -> Result<bool, TableError> {
        let update = Update::of(write);
        let call = self.client.update_item().table_name(&self.table).key(KEY, self.key());
        let call = call.update_expression(update.sets).condition_expression(update.condition);
        let call = call.set_expression_attribute_names(Some(update.names));
        let call = call.set_expression_attribute_values(Some(update.values)).send();
        match self.calls.make("dynamodb", UPDATE, call).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(fault) => Err(self.error(&fault, UPDATE)),
        }
    }

    fn key(&self) -> AttributeValue {
        AttributeValue::S(self.item.clone())
    }

    fn claim(&self, item: &HashMap<String, AttributeValue>) -> Result<Claim, TableError> {
        let counter = item.get(COUNTER).and_then(|it| it.as_n().ok()).and_then(|it| it.parse().ok());
        let owner = item.get(HOLDER).map(|it| it.as_s().map(|it| MemberId::from(it.as_str()))).transpose();
        match (owner, counter) {
            (Ok(owner), Some(counter)) => Ok(Claim { owner, counter }),
            (Ok(_) | Err(_), _) => Err(TableError(format!(
                "the item {} of the table {} is not one that Lockkeeper wrote: delete it",
                self.item, self.table
            ))),
        }
    }

    fn error(&self, fault: &Fault, operation: &'static str) -> TableError {
        let table = &self.table;
        let mend = match fault.kind() {
            Kind::Missing => format!("lease.table names no table that exists: {table}"),
            Kind::Denied => {
                format!("the credentials must be allowed dynamodb:{operation} on the table {table}")
            }
            Kind::Refused => format!("is `{KEY}`, a string, the only key of the table {table}?"),
            Kind::Credentials
            | Kind::Throttled
            | Kind::Unsupported
            | Kind::Server
            | Kind::Lost
            | Kind::Unreachable => return TableError(fault.reason(operation)),
        };
        TableError(format!("{}: {mend}", fault.reason(operation)))
    }
}

/// A write in DynamoDB's terms. Names stand in for attributes, because `counter` is one of its own words.
#[derive(Debug, PartialEq)]
struct Update {
    sets: String,
    condition: &'static str,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    fn of(write: &ClaimWrite) -> Self {
        let text = |member: &MemberId| AttributeValue::S(member.to_string());
        let number = |counter: u64| AttributeValue::N(counter.to_string());
        let mut values = HashMap::from([(":counter".to_owned(), number(write.puts.counter))]);
        let sets = match &write.puts.owner {
            Some(owner) => {
                values.insert(":holder".into(), text(owner));
                "SET #counter = :counter, #holder = :holder"
            }
            None => "SET #counter = :counter REMOVE #holder",
        };
        let condition = match &write.expects {
            Expects::Nothing => "attribute_not_exists(#counter) AND attribute_not_exists(#holder)",
            Expects::OwnedBy(member) => {
                values.insert(":was".into(), text(member));
                "#holder = :was"
            }
            Expects::Exactly(Claim { owner: Some(owner), counter }) => {
                values.extend([(":was".into(), text(owner)), (":at".into(), number(*counter))]);
                "#holder = :was AND #counter = :at"
            }
            Expects::Exactly(Claim { owner: None, counter }) => {
                values.insert(":at".into(), number(*counter));
                "attribute_not_exists(#holder) AND #counter = :at"
            }
        };
        let names = [HOLDER, COUNTER].map(|name| (format!("#{name}"), name.to_owned()));
        Self { sets: sets.into(), condition, names: HashMap::from(names), values }
    }
}
