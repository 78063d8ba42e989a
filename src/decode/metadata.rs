//! Where a change came from, as far as an event that people, scripts and CI systems send tells: commit, branch,
//! repository, run and person.
//!
//! Nobody is asked to rename what their CI system calls things: one table knows its variables, and the names that people
//! give. A name counts however it is written: `GITHUB_RUN_ID`, `githubRunId` and `{"github": {"run_id": …}}` are one. What
//! cannot be read is passed over: nothing is decided by any of it, so it never makes an event malformed.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use super::{envelope::Envelope, json::Object};
use crate::domain::{Metadata, Trigger, harmless, is_commit};

/// The longest part that is kept, in characters; a longer URL is none.
const LONGEST_CHARS: usize = 256;
const LONGEST_URL: usize = 1_000;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    User,
    Commit,
    Branch,
    Repository,
    RepositoryUrl,
    /// Where the repository's owner and name stand behind.
    Server,
    Owner,
    Platform,
    RunId,
    RunUrl,
}

/// How many parts there are.
const PARTS: usize = 10;

/// Names that no CI system has for itself, without case, `_` and `-`, in the order in which they count.
const COMMON: [(&str, Part); 33] = [
    ("actor", Part::User),
    ("user", Part::User),
    ("requestedby", Part::User),
    ("commit", Part::Commit),
    ("gitcommit", Part::Commit),
    ("commitsha", Part::Commit),
    ("gitsha", Part::Commit),
    ("sha", Part::Commit),
    ("branch", Part::Branch),
    ("gitbranch", Part::Branch),
    ("refname", Part::Branch),
    ("gitref", Part::Branch),
    ("gitrepository", Part::Repository),
    ("sourcerepository", Part::Repository),
    ("repositoryurl", Part::RepositoryUrl),
    ("gitrepositoryurl", Part::RepositoryUrl),
    ("repourl", Part::RepositoryUrl),
    ("giturl", Part::RepositoryUrl),
    ("platform", Part::Platform),
    ("cicdplatform", Part::Platform),
    ("ciplatform", Part::Platform),
    ("runid", Part::RunId),
    ("workflowrunid", Part::RunId),
    ("buildid", Part::RunId),
    ("buildnumber", Part::RunId),
    ("pipelineid", Part::RunId),
    ("runurl", Part::RunUrl),
    ("workflowrunurl", Part::RunUrl),
    ("buildurl", Part::RunUrl),
    ("pipelineurl", Part::RunUrl),
    ("joburl", Part::RunUrl),
    ("triggeredby", Part::User),
    ("by", Part::User),
];

/// The variables of each CI system, written in the same way, in the order in which they count.
const SYSTEMS: [(&str, &[(&str, Part)]); 6] = [
    (
        "github",
        &[
            ("githubactor", Part::User),
            ("githubtriggeringactor", Part::User),
            ("githubsha", Part::Commit),
            ("githubheadref", Part::Branch),
            ("githubrefname", Part::Branch),
            ("githubref", Part::Branch),
            ("githubrepository", Part::Repository),
            ("githubserverurl", Part::Server),
            ("githubrunid", Part::RunId),
        ],
    ),
    (
        "gitlab",
        &[
            ("gitlabuserlogin", Part::User),
            ("gitlabusername", Part::User),
            ("cicommitsha", Part::Commit),
            ("cicommitbranch", Part::Branch),
            ("cicommitrefname", Part::Branch),
            ("ciprojectpath", Part::Repository),
            ("ciprojecturl", Part::RepositoryUrl),
            ("cipipelineid", Part::RunId),
            ("cijobid", Part::RunId),
            ("cipipelineurl", Part::RunUrl),
            ("cijoburl", Part::RunUrl),
        ],
    ),
    (
        "circleci",
        &[
            ("circleusername", Part::User),
            ("circlesha1", Part::Commit),
            ("circlebranch", Part::Branch),
            ("circleprojectreponame", Part::Repository),
            ("circleprojectusername", Part::Owner),
            ("circlerepositoryurl", Part::RepositoryUrl),
            ("circleworkflowid", Part::RunId),
            ("circlebuildnum", Part::RunId),
            ("circlebuildurl", Part::RunUrl),
        ],
    ),
    (
        "codebuild",
        &[
            ("codebuildinitiator", Part::User),
            ("codebuildresolvedsourceversion", Part::Commit),
            ("codebuildsourceversion", Part::Commit),
            ("codebuildwebhookheadref", Part::Branch),
            ("codebuildsourcerepourl", Part::RepositoryUrl),
            ("codebuildbuildid", Part::RunId),
            ("codebuildbuildurl", Part::RunUrl),
        ],
    ),
    (
        "travis",
        &[
            ("traviscommit", Part::Commit),
            ("travispullrequestbranch", Part::Branch),
            ("travisbranch", Part::Branch),
            ("travisreposlug", Part::Repository),
            ("travisbuildid", Part::RunId),
            ("travisbuildweburl", Part::RunUrl),
        ],
    ),
    // Last: the names are common enough to stand beside those of another system.
    (
        "jenkins",
        &[
            ("builduserid", Part::User),
            ("builduser", Part::User),
            ("gitcommit", Part::Commit),
            ("gitbranch", Part::Branch),
            ("branchname", Part::Branch),
            ("giturl", Part::RepositoryUrl),
            ("buildtag", Part::RunId),
            ("buildnumber", Part::RunId),
            ("buildurl", Part::RunUrl),
            ("runurl", Part::RunUrl),
        ],
    ),
];

/// By these alone an event is known as one of Jenkins, whose other names everybody has.
const OF_JENKINS: [&str; 4] = ["jenkinsurl", "jobname", "buildtag", "jenkinshome"];

/// Objects in a detail whose fields count as those of the detail itself.
const TRANSPARENT: [&str; 3] = ["metadata", "env", "environmentvariables"];
/// Objects in a detail whose name belongs before the names of their fields.
const PREFIXES: [&str; 4] = ["git", "github", "gitlab", "ci"];

/// What an event tells of where it came from, if anything.
pub(super) fn of(envelope: &Envelope, trigger: &Trigger) -> Option<Metadata> {
    let metadata = match trigger {
        Trigger::ImagePushed(image) | Trigger::ImageReplicated(image) => of_tag(image.tag.as_str()),
        // No event of AWS tells.
        _ if envelope.source.starts_with("aws.") => return None,
        _ => of_detail(envelope)?,
    };
    (!metadata.is_empty()).then_some(metadata)
}

/// What git says of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkout {
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// Where it was cloned from.
    pub url: Option<String>,
    /// Who git thinks works there.
    pub user: Option<String>,
}

/// What the environment of a CI system's run tells, and for the rest what git says. Only names that a system has for itself
/// count: everybody's environment has a `USER`.
pub fn of_run(variables: &BTreeMap<String, String>, git: &Checkout) -> Metadata {
    let names: Vec<(String, &String)> = variables.iter().map(|(name, value)| (plain(name), value)).collect();
    let is_jenkins = names.iter().any(|(name, _)| OF_JENKINS.contains(&name.as_str()));
    let mut found = Found::default();
    for (name, value) in names.iter().filter(|(_, value)| !value.trim().is_empty()) {
        found.take_of_systems(name, value.trim(), is_jenkins);
    }
    if is_jenkins {
        found.is_of(SYSTEMS.len() - 1);
    }
    let said = [
        (Part::Commit, &git.commit),
        (Part::Branch, &git.branch),
        (Part::RepositoryUrl, &git.url),
        (Part::User, &git.user),
    ];
    for (part, value) in said {
        if let Some(value) = value {
            found.put(part, usize::MAX, value);
        }
    }
    found.metadata(None)
}

/// Images are often tagged with the commit that they are built from, whole or after `sha-` or `git-`.
fn of_tag(tag: &str) -> Metadata {
    let named = tag.strip_prefix("sha-").or_else(|| tag.strip_prefix("git-"));
    let commit = named.unwrap_or(tag);
    // A date is all digits, and a word of seven letters from a to f is none.
    let is_telling = commit.len() == 40 || named.is_some();
    let commit = is_commit(commit).then(|| kept(commit)).filter(|_| is_telling);
    Metadata { commit, ..Metadata::default() }
}

fn of_detail(envelope: &Envelope) -> Option<Metadata> {
    let mut found = Found::default();
    found.look_in(envelope.detail().ok()?, "", false);
    let source = envelope.source.to_ascii_lowercase();
    let is_github = source == "github.actions" || source.starts_with("github.actions.");
    Some(found.metadata(is_github.then_some("github")))
}

/// What was found: per part, the value whose name counts most.
#[derive(Default)]
struct Found {
    parts: [Option<(usize, String)>; PARTS],
    /// The first system, in the order of the table, that one of the names is of.
    system: Option<usize>,
}

impl Found {
    fn look_in(&mut self, object: Object, prefix: &str, is_inner: bool) {
        object.each(|key, raw| {
            let key = plain(key);
            match Object::within(raw).filter(|_| !is_inner) {
                Some(inner) if TRANSPARENT.contains(&&*key) => self.look_in(inner, "", true),
                Some(inner) if PREFIXES.contains(&&*key) => self.look_in(inner, &key, true),
                Some(_) => {}
                None => self.take(&format!("{prefix}{key}"), raw, is_inner),
            }
        });
    }

    fn take(&mut self, name: &str, raw: &str, is_inner: bool) {
        let Some(value) = value_of(raw) else { return };
        self.take_of_systems(name, &value, true);
        if OF_JENKINS.contains(&name) {
            self.is_of(SYSTEMS.len() - 1);
        }
        if let Some(rank) = COMMON.iter().position(|(it, _)| *it == name) {
            self.put(COMMON[rank].1, rank, &value);
        }
        // Beside the detail's own names it means a repository of images.
        if name == "repository" && is_inner {
            self.put(Part::Repository, COMMON.len(), &value);
        }
    }

    /// Takes what a CI system calls so, Jenkins only where it may be one.
    fn take_of_systems(&mut self, name: &str, value: &str, may_be_jenkins: bool) {
        let systems =
            SYSTEMS.iter().enumerate().filter(|(_, (system, _))| may_be_jenkins || *system != "jenkins");
        let of_system = systems.filter_map(|(at, (system, names))| {
            let rank = names.iter().position(|(it, _)| *it == name)?;
            Some((at, *system, rank, names[rank].1))
        });
        for (at, system, rank, part) in of_system {
            self.put(part, 100 * (at + 1) + rank, value);
            if system != "jenkins" {
                self.is_of(at);
            }
        }
    }

    fn put(&mut self, part: Part, rank: usize, value: &str) {
        let slot = &mut self.parts[part as usize];
        if slot.as_ref().is_none_or(|(before, _)| rank < *before) {
            *slot = Some((rank, value.to_owned()));
        }
    }

    fn is_of(&mut self, system: usize) {
        self.system = Some(self.system.map_or(system, |before| before.min(system)));
    }

    fn get(&self, part: Part) -> Option<&str> {
        self.parts[part as usize].as_ref().map(|(_, value)| value.as_str())
    }

    fn metadata(&self, source: Option<&str>) -> Metadata {
        let system = self.system.map(|at| SYSTEMS[at].0).or(source.filter(|_| self.says_something()));
        let platform = self.get(Part::Platform).map(str::to_ascii_lowercase);
        let platform = platform.or_else(|| system.map(str::to_owned));
        let repository = self.get(Part::Repository).map(|name| match self.get(Part::Owner) {
            Some(owner) if !name.contains('/') => format!("{owner}/{name}"),
            Some(_) | None => name.to_owned(),
        });
        let url = self.get(Part::RepositoryUrl).and_then(web_url);
        let server = self.get(Part::Server).and_then(web_url);
        let server = server.or_else(|| (system == Some("github")).then(|| "https://github.com".into()));
        let url = url.or_else(|| {
            let repository = repository.as_deref().filter(|name| is_path(name))?;
            Some(format!("{}/{repository}", server?))
        });
        let repository = repository.or_else(|| url.as_deref().and_then(path_of).map(str::to_owned));
        let run_id = self.get(Part::RunId);
        let run_url = self.get(Part::RunUrl).and_then(web_url);
        let run_url = run_url.or_else(|| {
            let run = run_id.filter(|run| is_path(run) && system == Some("github"))?;
            Some(format!("{}/actions/runs/{run}", url.as_ref()?))
        });
        Metadata {
            user: self.get(Part::User).map(kept),
            commit: self.get(Part::Commit).map(kept),
            branch: self.get(Part::Branch).and_then(branch),
            repository: repository.as_deref().map(kept),
            repository_url: url.map(Into::into),
            platform: platform.as_deref().map(kept),
            run_id: run_id.map(kept),
            run_url: run_url.map(Into::into),
        }
    }

    fn says_something(&self) -> bool {
        self.parts.iter().any(Option::is_some)
    }
}

/// A text or a number, without the white space around it; nothing of what is empty or has another type.
fn value_of(raw: &str) -> Option<Cow<'_, str>> {
    let value = match raw.as_bytes().first()? {
        b'"' => Cow::Owned(serde_json::from_str::<String>(raw).ok()?),
        b'0'..=b'9' => Cow::Borrowed(raw),
        _ => return None,
    };
    let value = value.trim();
    (!value.is_empty()).then(|| Cow::Owned(value.to_owned()))
}

/// A name without its case and signs.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(64);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

fn kept(text: &str) -> Arc<str> {
    harmless(text, LONGEST_CHARS).into()
}

/// The branch that a reference means; the reference of a tag means none.
fn branch(text: &str) -> Option<Arc<str>> {
    if text.starts_with("refs/tags/") {
        return None;
    }
    let text = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("origin/")).unwrap_or(text);
    Some(kept(text))
}

/// Where a browser finds what this URL is of. Credentials in it are left out: CI systems clone with them.
fn web_url(text: &str) -> Option<String> {
    let fits =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    if text.len() > LONGEST_URL || !text.chars().all(fits) {
        return None;
    }
    let over_ssh = text.strip_prefix("ssh://").or_else(|| text.contains('@').then_some(text));
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("https" | "http"), rest)) => (scheme, Cow::Borrowed(rest)),
        // `git@host:owner/name.git`
        Some(("ssh", _)) | None => ("https", Cow::Owned(over_ssh?.replacen(':', "/", 1))),
        Some(_) => return None,
    };
    let (host, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // Elsewhere a token may stand there.
    let bare = if is_console(host) { path } else { path.split(['?', '#']).next().unwrap_or_default() };
    let path = bare.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let slash = if path.is_empty() { "" } else { "/" };
    (!host.is_empty()).then(|| format!("{scheme}://{host}{slash}{path}"))
}

/// AWS's console has the place of a thing behind a `?` and a `#`.
fn is_console(host: &str) -> bool {
    host.ends_with(".console.aws.amazon.com")
}

/// The path of a URL.
fn path_of(url: &str) -> Option<&str> {
    let (_, path) = url.split_once("://")?.1.split_once('/')?;
    (!path.is_empty()).then_some(path)
}

/// Whether this may stand in the path of a URL as it is.
fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::sent;

    fn told(source: &str, detail: &str) -> Option<Arc<Metadata>> {
        let body = format!(r#"{{"source":"{source}","detail-type":"DEPLOY","detail":{detail}}}"#);
        crate::decode::decode(body.as_bytes(), sent()).metadata
    }

    /// As `part: value` lines.
    fn lines(detail: &str) -> String {
        let told = told("action.deploy", detail).expect("something is told");
        let json = serde_json::to_value(&*told).expect("JSON");
        let parts = json.as_object().expect("an object").iter();
        parts
            .map(|(part, value)| format!("{part}: {}", value.as_str().expect("a text")))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn run(variables: &[(&str, &str)], git: &Checkout) -> String {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        serde_json::to_string(&of_run(&variables, git)).expect("JSON")
    }

    #[test]
    fn a_run_of_a_ci_system_is_known_by_its_environment_and_git_tells_the_rest() {
        let git = Checkout {
            commit: Some("4f2a9c1".into()),
            branch: None,
            url: Some("git@github.com:shop/api.git".into()),
            user: Some("Ann".into()),
        };
        let github = [
            ("USER", "runner"),
            ("BUILD_NUMBER", "1"),
            ("GITHUB_ACTOR", "ann"),
            ("GITHUB_SHA", "5e2a9c1"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REPOSITORY", "shop/api"),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_HEAD_REF", ""),
        ];
        insta::assert_snapshot!(run(&github, &git), @r#"{"user":"ann","commit":"5e2a9c1","branch":"main","repository":"shop/api","repository_url":"https://github.com/shop/api","platform":"github","run_id":"77","run_url":"https://github.com/shop/api/actions/runs/77"}"#);
        let gitlab = [
            ("CI_COMMIT_SHA", "5e2a9c1"),
            ("CI_PIPELINE_URL", "https://gitlab.example/p/1"),
            ("GITLAB_USER_LOGIN", "ann"),
        ];
        insta::assert_snapshot!(run(&gitlab, &Checkout::default()), @r#"{"user":"ann","commit":"5e2a9c1","platform":"gitlab","run_url":"https://gitlab.example/p/1"}"#);
        let jenkins = [
            ("JENKINS_URL", "https://ci"),
            ("GIT_COMMIT", "5e2a9c1"),
            ("GIT_BRANCH", "origin/main"),
            ("BUILD_NUMBER", "7"),
        ];
        insta::assert_snapshot!(run(&jenkins, &Checkout::default()), @r#"{"commit":"5e2a9c1","branch":"main","platform":"jenkins","run_id":"7"}"#);
        insta::assert_snapshot!(run(&[("USER", "ann"), ("GIT_COMMIT", "5e2a9c1"), ("BRANCH", "x")], &git), @r#"{"user":"Ann","commit":"4f2a9c1","repository":"shop/api","repository_url":"https://github.com/shop/api"}"#);
        assert!(of_run(&BTreeMap::new(), &Checkout::default()).is_empty());
    }

    #[test]
    fn plain_names_count() {
        insta::assert_snapshot!(lines(
            r#"{"service":"api","commit":"4f2a9c1","branch":"main","repository_url":"https://github.com/shop/api",
                "platform":"GitHub","run_id":77,"run_url":"https://github.com/shop/api/actions/runs/77","actor":"ann"}"#
        ), @r"
        branch: main
        commit: 4f2a9c1
        platform: github
        repository: shop/api
        repository_url: https://github.com/shop/api
        run_id: 77
        run_url: https://github.com/shop/api/actions/runs/77
        user: ann
        ");
    }

    #[test]
    fn the_object_metadata_of_a_request_counts_as_the_request() {
        let [inner, outer] = [
            r#"{"service":"api","metadata":{"user":"ann","gitCommit":"4f2a9c1","gitBranch":"main","gitRepository":"shop/api",
                "cicdPlatform":"jenkins","runId":"9","runUrl":"https://ci.example/9"}}"#,
            r#"{"user":"ann","commit":"4f2a9c1","branch":"main","git_repository":"shop/api","platform":"jenkins",
                "run-id":"9","RUN_URL":"https://ci.example/9"}"#,
        ]
        .map(lines);
        assert_eq!(inner, outer);
        assert!(lines(r#"{"metadata":{"repository":"shop/api"}}"#).contains("repository: shop/api"));
    }

    #[test]
    fn each_ci_system_is_known_by_its_own_names() {
        let systems = [
            r#"{"GITHUB_SHA":"4f2a9c1","GITHUB_REF_NAME":"main","GITHUB_REPOSITORY":"shop/api","GITHUB_RUN_ID":"77",
                "GITHUB_ACTOR":"ann","GITHUB_SERVER_URL":"https://github.example"}"#,
            r#"{"github":{"sha":"4f2a9c1","ref":"refs/heads/main","repository":"shop/api","run_id":77,"actor":"ann"}}"#,
            r#"{"CI_COMMIT_SHA":"4f2a9c1","CI_COMMIT_REF_NAME":"main","CI_PROJECT_PATH":"shop/api","CI_PIPELINE_ID":8,
                "CI_PROJECT_URL":"https://gitlab.com/shop/api","CI_PIPELINE_URL":"https://gitlab.com/shop/api/-/pipelines/8",
                "GITLAB_USER_LOGIN":"ann"}"#,
            r#"{"JOB_NAME":"api","GIT_COMMIT":"4f2a9c1","GIT_BRANCH":"origin/main","GIT_URL":"git@github.com:shop/api.git",
                "BUILD_NUMBER":"12","BUILD_URL":"https://jenkins.example/job/api/12/","BUILD_USER_ID":"ann"}"#,
            r#"{"CIRCLE_SHA1":"4f2a9c1","CIRCLE_BRANCH":"main","CIRCLE_PROJECT_USERNAME":"shop","CIRCLE_USERNAME":"ann",
                "CIRCLE_PROJECT_REPONAME":"api","CIRCLE_BUILD_NUM":"5","CIRCLE_BUILD_URL":"https://circleci.com/gh/shop/api/5"}"#,
            r#"{"CODEBUILD_RESOLVED_SOURCE_VERSION":"4f2a9c1","CODEBUILD_WEBHOOK_HEAD_REF":"refs/heads/main",
                "CODEBUILD_SOURCE_REPO_URL":"https://github.com/shop/api.git","CODEBUILD_BUILD_ID":"api:1-2",
                "CODEBUILD_INITIATOR":"ann",
                "CODEBUILD_BUILD_URL":"https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/api:1-2"}"#,
            r#"{"TRAVIS_COMMIT":"4f2a9c1","TRAVIS_BRANCH":"main","TRAVIS_REPO_SLUG":"shop/api","TRAVIS_BUILD_ID":"3",
                "TRAVIS_BUILD_WEB_URL":"https://app.travis-ci.com/shop/api/builds/3"}"#,
        ];
        insta::assert_snapshot!(systems.map(|it| lines(it).replace('\n', "; ")).join("\n"), @r#"
        branch: main; commit: 4f2a9c1; platform: github; repository: shop/api; repository_url: https://github.example/shop/api; run_id: 77; run_url: https://github.example/shop/api/actions/runs/77; user: ann
        branch: main; commit: 4f2a9c1; platform: github; repository: shop/api; repository_url: https://github.com/shop/api; run_id: 77; run_url: https://github.com/shop/api/actions/runs/77; user: ann
        branch: main; commit: 4f2a9c1; platform: gitlab; repository: shop/api; repository_url: https://gitlab.com/shop/api; run_id: 8; run_url: https://gitlab.com/shop/api/-/pipelines/8; user: ann
        branch: main; commit: 4f2a9c1; platform: jenkins; repository: shop/api; repository_url: https://github.com/shop/api; run_id: 12; run_url: https://jenkins.example/job/api/12; user: ann
        branch: main; commit: 4f2a9c1; platform: circleci; repository: shop/api; run_id: 5; run_url: https://circleci.com/gh/shop/api/5; user: ann
        branch: main; commit: 4f2a9c1; platform: codebuild; repository: shop/api; repository_url: https://github.com/shop/api; run_id: api:1-2; run_url: https://eu-west-1.console.aws.amazon.com/codebuild/home?region=eu-west-1#/builds/api:1-2; user: ann
        branch: main; commit: 4f2a9c1; platform: travis; repository: shop/api; run_id: 3; run_url: https://app.travis-ci.com/shop/api/builds/3
        "#);
    }

    #[test]
    fn the_repository_of_a_ready_image_is_not_that_of_its_source() {
        let detail = r#"{"repository":"shop_api","tag":"v1","branch":"main","commit":"4f2a9c1"}"#;
        let metadata = told("github.actions", detail).expect("told");
        assert_eq!(metadata.repository, None);
        assert_eq!(
            (metadata.platform.as_deref(), metadata.branch.as_deref()),
            (Some("github"), Some("main"))
        );
    }

    #[test]
    fn a_tag_that_is_a_commit_tells_it_and_no_other_does() {
        let commit = |tag: &str| {
            let detail = format!(
                r#"{{"action-type":"PUSH","result":"SUCCESS","repository-name":"api","image-tag":"{tag}"}}"#
            );
            let body =
                format!(r#"{{"source":"aws.ecr","detail-type":"ECR Image Action","detail":{detail}}}"#);
            let event = crate::decode::decode(body.as_bytes(), sent());
            event.metadata.and_then(|it| it.commit.as_deref().map(str::to_owned))
        };
        let whole = "4f2a9c1e4f2a9c1e4f2a9c1e4f2a9c1e4f2a9c1e";
        assert_eq!(commit(whole).as_deref(), Some(whole));
        assert_eq!(commit("sha-4f2a9c1").as_deref(), Some("4f2a9c1"));
        for tag in ["20261101", "deadbee", "v1.4.2", "latest", "sha-x"] {
            assert_eq!(commit(tag), None, "{tag}");
        }
    }

    #[test]
    fn who_asks_is_the_user_where_nobody_else_is_named() {
        assert_eq!(lines(r#"{"requested_by":"ben"}"#), "user: ben");
        assert_eq!(lines(r#"{"requested_by":"ben","actor":"ann"}"#), "user: ann");
    }

    #[test]
    fn credentials_in_a_url_are_left_out_and_what_no_browser_opens_is_no_link() {
        for (given, link) in [
            ("https://gitlab-ci-token:SECRET@gitlab.com/shop/api.git", Some("https://gitlab.com/shop/api")),
            ("https://ci.example/run?token=SECRET#x", Some("https://ci.example/run")),
            ("ssh://git@github.com/shop/api.git", Some("https://github.com/shop/api")),
            ("git@github.com:shop/api.git", Some("https://github.com/shop/api")),
            ("javascript:alert(1)", None),
            ("javascript://alert", None),
            ("https://a b", None),
            (r#"https://a/\"><script>"#, None),
            ("https://", None),
        ] {
            let metadata = told("action.deploy", &format!(r#"{{"repository_url":"{given}","commit":"c"}}"#));
            assert_eq!(metadata.expect("a commit").repository_url.as_deref(), link, "{given}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_passed_over_and_makes_nothing_malformed() {
        for detail in [r#"{"commit":["x"],"branch":{"a":1},"actor":"","run_id":-1}"#, r#"{"service":"api"}"#]
        {
            assert_eq!(told("action.deploy", detail), None, "{detail}");
        }
        assert_eq!(told("aws.ssm", r#"{"commit":"4f2a9c1"}"#), None);
        let long = format!(r#"{{"commit":"a\u001b{}"}}"#, "b".repeat(9_000));
        let commit = told("action.deploy", &long).expect("told").commit.clone().expect("told");
        assert!(commit.starts_with("a\u{fffd}b") && commit.chars().count() == 257, "{commit}");
        assert_eq!(told("action.deploy", r#"{"gitref":"refs/tags/v1"}"#), None);
    }
}
