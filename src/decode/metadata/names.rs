//! What everybody calls the commit, the branch, the run: one table.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
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
    TraceParent,
}

/// How many parts there are.
pub(super) const PARTS: usize = 11;

/// Names that no CI system has for itself, without case, `_` and `-`, in the order in which they count.
pub(super) const COMMON: [(&str, Part); 34] = [
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
    (TRACE_PARENT, Part::TraceParent),
];

/// The span in which something is done, in an event and in the environment of a program.
pub(super) const TRACE_PARENT: &str = "traceparent";

/// The variables of each CI system, written in the same way, in the order in which they count.
pub(super) const SYSTEMS: [(&str, &[(&str, Part)]); 6] = [
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
pub(super) const OF_JENKINS: [&str; 4] = ["jenkinsurl", "jobname", "buildtag", "jenkinshome"];

/// Objects in a detail whose fields count as those of the detail itself.
pub(super) const TRANSPARENT: [&str; 3] = ["metadata", "env", "environmentvariables"];
/// Objects in a detail whose name belongs before the names of their fields.
pub(super) const PREFIXES: [&str; 4] = ["git", "github", "gitlab", "ci"];
