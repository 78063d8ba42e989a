//! What there is to deploy: told to the daemon as settings, to the world as services, and known to the checker.

/// The account of everything.
pub const ACCOUNT: &str = "111122223333";
/// The Region of everything.
pub const REGION: &str = "eu-west-1";
/// The cluster of every service.
pub const CLUSTER: &str = "shop";
/// The container that images are for. Beside it runs a sidecar, which nobody asks to change.
pub const CONTAINER: &str = "app";
/// How long a rollout may go without progress.
pub const TIMEOUT_MS: u64 = 3_000;

/// What a push does to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPush {
    /// Its tag becomes a revision.
    Pin,
    /// What runs is started anew, if the tag is this one.
    Follow(&'static str),
}

/// One service.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What people, events and ECS call it; also the family of its definitions.
    pub name: &'static str,
    /// The repository of its image.
    pub repository: &'static str,
    /// What a push does.
    pub on_push: OnPush,
    /// Whether a newer request may supersede a sound rollout.
    pub interrupts: bool,
    /// More of its settings.
    pub more: &'static str,
}

/// Two that share a repository, one that interrupts and pins digests, one that follows a tag.
pub const TARGETS: [Target; 4] = [
    Target {
        name: "api",
        repository: "shop/api",
        on_push: OnPush::Pin,
        interrupts: false,
        more: "on_push = \"pin\"",
    },
    Target {
        name: "jobs",
        repository: "shop/api",
        on_push: OnPush::Pin,
        interrupts: false,
        more: "on_push = \"pin\"\non_newer = \"queue\"",
    },
    Target {
        name: "worker",
        repository: "shop/worker",
        on_push: OnPush::Pin,
        interrupts: true,
        more: "on_push = \"pin\"\non_newer = \"interrupt\"\nimage_reference = \"digest\"",
    },
    Target {
        name: "web",
        repository: "shop/web",
        on_push: OnPush::Follow("latest"),
        interrupts: false,
        more: "on_push = \"follow\"",
    },
];

impl Target {
    /// The target that is called so.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Its id, as letters name it.
    pub fn id(&self) -> String {
        format!("{ACCOUNT}/{REGION}/{CLUSTER}/{}", self.name)
    }

    /// The image that it runs at first.
    pub fn first_image(&self) -> String {
        let tag = match self.on_push {
            OnPush::Pin => "v0",
            OnPush::Follow(tag) => tag,
        };
        format!("{}:{tag}", registry(self.repository))
    }
}

/// A repository with its registry.
pub fn registry(repository: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{repository}")
}

/// The daemon's settings: everything that waits is short, because its clock is real.
pub fn settings(queue: &str, webhook: &str) -> String {
    let targets: Vec<String> = TARGETS
        .iter()
        .map(|Target { name, repository, more, .. }| {
            format!(
                "[[target]]\nname = \"{name}\"\ncluster = \"{CLUSTER}\"\nservice = \"{name}\"\n\
                 repositories = [\"{repository}\"]\nparameters = [\"/shop/{name}/*\", \"/shop/shared/*\"]\n{more}\n"
            )
        })
        .collect();
    let targets = targets.concat();
    format!(
        "[engine]\nstart_delay = \"0s\"\n[queue]\nurl = \"{queue}\"\nvisibility = \"30s\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
         [[notify.webhook]]\nname = \"audit\"\nurl = \"{webhook}\"\nstages = []\n\
         [defaults]\nquiet = \"100ms\"\ntimeout = \"{TIMEOUT_MS}ms\"\nignore_tags = [\"glob:dev-*\"]\n\
         max_parallel = 2\nstop_after = 2\n{targets}"
    )
}
