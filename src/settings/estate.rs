//! `[[aws.accounts]]` and `aws.regions`: where targets are, beside Lockkeeper's own account and Region.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    problems::{Complaints, Wrong},
    section::{Section, items},
    values::{account, arn_parts, region, text},
    written::Written,
};
use crate::domain::{AccountId, AccountRule, Estate, Region};

/// What is set of it. Our own Region is everywhere ours, and needs no naming.
pub(super) fn read(section: &mut Section<'_>, home: Option<&Region>, complaints: &Complaints) -> Estate {
    let accounts = accounts(section.get("accounts"), complaints);
    let mut regions = section.list("regions", region).unwrap_or_default();
    regions.retain(|region| Some(region) != home);
    regions.sort();
    regions.dedup();
    Estate { accounts, regions }
}

fn accounts(written: Option<&Written>, complaints: &Complaints) -> Vec<AccountRule> {
    let Some(written) = written else { return Vec::new() };
    let items = items(written).unwrap_or_else(|_| {
        let mend = "begin each with [[aws.accounts]] in TOML, or write a JSON list of objects";
        let wrong = Wrong::new("is not a list of accounts", mend);
        complaints.add(&written.origin, "aws.accounts", None, wrong);
        Vec::new()
    });
    let mut seen = BTreeMap::new();
    let mut rules = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = Section::new(format!("aws.accounts[{}]", index + 1), item, complaints);
        if let Some(rule) = rule(&mut section, item) {
            if let Some(first) = seen.insert(rule.account.clone(), section.home().clone()) {
                let wrong = format!("is account {} once more, as at {first}", rule.account);
                let wrong = Wrong::new(wrong, "make one entry of the two");
                section.complain(section.home(), &section.name_of("id"), wrong);
            }
            rules.push(rule);
        }
        section.finish();
    }
    rules
}

fn rule(section: &mut Section<'_>, item: &Written) -> Option<AccountRule> {
    let id = section.demand("id", "write the account's twelve digits", account);
    let role = section.demand("role_arn", "give the role in that account to assume", role);
    let external_id = section.take("external_id", external_id);
    let (id, (arn, owner)) = (id?, role?);
    if owner != id {
        let wrong = Wrong::new(
            format!("is a role of account {owner}, and not of {id}"),
            format!("name a role of {id}, or mend the id"),
        );
        let origin = item.find(&["role_arn"]).map_or(section.home(), |it| &it.origin);
        section.complain(origin, &section.name_of("role_arn"), wrong);
    }
    Some(AccountRule { account: id, role_arn: arn, external_id })
}

/// The ARN of a role, and the account that it is in.
fn role(written: &Written) -> Result<(Arc<str>, AccountId), Wrong> {
    let text = text(written)?;
    let form = r#"write it as "arn:aws:iam::111122223333:role/lockkeeper-target""#;
    let Some([region, account, resource]) = arn_parts(text, "iam") else {
        return Err(Wrong::new("is not the ARN of a role", form));
    };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_of_name);
    if !region.is_empty() || !is_account || !is_name {
        return Err(Wrong::new("is not the ARN of a role", form));
    }
    Ok((text.into(), account.into()))
}

/// As STS takes it. It is no secret by its nature, but shown it could be taken for one.
fn external_id(written: &Written) -> Result<Arc<str>, Wrong> {
    let text = text(written)?;
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
    if (2..=1_224).contains(&text.len()) && text.bytes().all(is_of_id) {
        return Ok(text.into());
    }
    let wrong = Wrong::new(
        "is not an external id",
        "write 2 to 1,224 letters, digits, `_`, `+`, `=`, `,`, `.`, `@`, `:`, `/` or `-`",
    );
    Err(Wrong { secret: true, ..wrong })
}
