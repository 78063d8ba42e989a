//! Lists by the page: what each service calls its fields, how much a page holds, and how it refuses what is wrong.

use serde_json::{Map, Value, json};

use super::call::{Fail, Outcome, text};

/// How a service turns its pages. The token of a page is the place to go on at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    /// The request's field for the size of a page.
    size: &'static str,
    /// The field for the token, in request and reply.
    token: &'static str,
    /// What a page holds at most.
    most: usize,
    /// The code of the refusal of a size.
    wrong_size: &'static str,
    /// The code of the refusal of a token.
    wrong_token: &'static str,
}

pub(super) const ECS: Paging = Paging {
    size: "maxResults",
    token: "nextToken",
    most: 100,
    wrong_size: "InvalidParameterException",
    wrong_token: "InvalidParameterException",
};

pub(super) const ECR: Paging = Paging { most: 1_000, ..ECS };

pub(super) const SSM: Paging = Paging {
    size: "MaxResults",
    token: "NextToken",
    most: 50,
    wrong_size: "ValidationException",
    wrong_token: "InvalidNextToken",
};

pub(super) const SECRETS: Paging = Paging {
    most: 100,
    wrong_size: "InvalidParameterException",
    wrong_token: "InvalidNextTokenException",
    ..SSM
};

/// How many a service looks at for one page.
const MOST_LOOKED_AT: usize = 1_000;

impl Paging {
    /// One page of `items` under `key`, of so many where the request does not say.
    pub(super) fn page(&self, body: &Value, key: &str, items: Vec<Value>, default: usize) -> Outcome {
        self.sift(body, key, items.into_iter().map(Some).collect(), default)
    }

    /// The same of those that are asked for, where a service looks at so many on the way and no more: a page may be
    /// empty although another follows.
    pub(super) fn sift(&self, body: &Value, key: &str, items: Vec<Option<Value>>, default: usize) -> Outcome {
        let (size, mut next) = (self.size_of(body, default)?, self.begin_of(body)?);
        let (total, last) = (items.len(), next.saturating_add(MOST_LOOKED_AT));
        let (mut items, mut found) = (items.into_iter().skip(next), Vec::new());
        while next < last.min(total) && found.len() < size {
            found.extend(items.next().flatten());
            next += 1;
        }
        let mut reply = Map::new();
        if next < total {
            reply.insert(self.token.to_owned(), json!(next.to_string()));
        }
        reply.insert(key.to_owned(), Value::Array(found));
        Ok(Value::Object(reply))
    }

    fn size_of(&self, body: &Value, default: usize) -> Result<usize, Fail> {
        if body[self.size].is_null() {
            return Ok(default);
        }
        let asked = body[self.size].as_u64().and_then(|size| usize::try_from(size).ok());
        asked.filter(|size| (1..=self.most).contains(size)).ok_or_else(|| {
            Fail::new(self.wrong_size, format!("{} must be between 1 and {}.", self.size, self.most))
        })
    }

    fn begin_of(&self, body: &Value) -> Result<usize, Fail> {
        match text(body, self.token) {
            "" => Ok(0),
            token => token.parse().map_err(|_| Fail::new(self.wrong_token, "The token is not valid.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::call::list;

    fn items(count: usize) -> Vec<Value> {
        (0..count).map(Value::from).collect()
    }

    #[test]
    fn pages_join_up_to_the_whole_list() {
        let (mut seen, mut token) = (vec![], json!(""));
        loop {
            let body = json!({"maxResults": 3, "nextToken": token});
            let reply = ECS.page(&body, "x", items(7), 10).expect("a page");
            seen.extend(list(&reply, "x").to_vec());
            if reply["nextToken"].is_null() {
                break;
            }
            token = reply["nextToken"].clone();
        }
        assert_eq!(seen, items(7));
    }

    #[test]
    fn a_page_may_be_empty_although_another_follows() {
        let rare: Vec<Option<Value>> =
            (0..2_500).map(|number| (number >= 2_400).then(|| json!(number))).collect();
        let page =
            |token: &str| SSM.sift(&json!({"NextToken": token}), "x", rare.clone(), 50).expect("a page");
        let first = page("");
        assert_eq!((list(&first, "x").len(), &first["NextToken"]), (0, &json!("1000")));
        let last = page("2000");
        assert_eq!((list(&last, "x").len(), &last["NextToken"]), (50, &json!("2450")));
    }

    #[test]
    fn a_page_holds_one_to_what_the_service_allows() {
        for (paging, most, code) in [
            (ECS, 100, "InvalidParameterException"),
            (ECR, 1_000, "InvalidParameterException"),
            (SSM, 50, "ValidationException"),
            (SECRETS, 100, "InvalidParameterException"),
        ] {
            let sized = |size: Value| paging.page(&json!({paging.size: size}), "x", items(1_200), 10);
            let count = |size: Value| sized(size).map(|reply| list(&reply, "x").len());
            assert_eq!((count(Value::Null), count(json!(most))), (Ok(10), Ok(most)));
            for size in [json!(0), json!(most + 1), json!(-1)] {
                assert_eq!(count(size).map_err(|fail| fail.code), Err(code));
            }
            let refused = paging.page(&json!({paging.token: "x"}), "x", items(1), 10);
            assert_eq!(refused.map_err(|fail| fail.code), Err(paging.wrong_token));
        }
    }
}
