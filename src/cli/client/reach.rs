//! Where the daemon is, and who asks.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::Client;
use crate::{
    cli::{Ended, load},
    settings::Settings,
};

const URL: &str = "LOCKKEEPER_URL";
const TOKEN: &str = "LOCKKEEPER_TOKEN";

/// Where the daemon is, and who asks.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "The daemon")]
pub(in crate::cli) struct Reach {
    /// Where the daemon answers [env: LOCKKEEPER_URL; settings: client.url]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// The token to show; others on this machine may see it, so rather use the variable or a file [env: LOCKKEEPER_TOKEN]
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// The file that holds the token to show [settings: client.token_file]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    url: Option<String>,
    token: Option<String>,
    token_file: Option<PathBuf>,
}

impl Reach {
    /// Whether a flag or a variable says where a daemon answers.
    pub(in crate::cli) fn names_a_daemon(&self) -> bool {
        let variable = std::env::var(URL).ok().map(|url| (URL.to_owned(), url));
        self.find(&variable.into_iter().collect()).url.is_some()
    }

    /// A client of that daemon.
    pub(in crate::cli) fn client(&self, files: &[PathBuf]) -> Result<Client, Ended> {
        let variables: BTreeMap<String, String> = [URL, TOKEN]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        let mut found = self.find(&variables);
        if !files.is_empty() || found.url.is_none() || (found.token.is_none() && found.token_file.is_none()) {
            found = found.or_settings(&load(files)?);
        }
        let url = found.url.ok_or_else(|| {
            Ended::Misused(format!("where does Lockkeeper answer? Say --url, or set {URL} or client.url"))
        })?;
        let url = base(&url).map_err(Ended::Misused)?;
        let token = match (found.token, found.token_file) {
            (Some(token), _) => {
                let place = if self.token.is_some() { "--token" } else { TOKEN };
                Some(token_of(&token, place).map_err(Ended::Misused)?)
            }
            (None, Some(path)) => {
                let token = in_file(&path).and_then(|token| token_of(&token, &path.display().to_string()));
                Some(token.map_err(Ended::Misused)?)
            }
            (None, None) => None,
        };
        Client::new(url, token).map_err(Ended::Failed)
    }

    /// What was said wins over what the environment has.
    fn find(&self, variables: &BTreeMap<String, String>) -> Found {
        let Self { url, token, token_file } = self.clone();
        let variable =
            |name: &str| variables.get(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let is_said = token.is_some() || token_file.is_some();
        Found {
            url: url.or_else(|| variable(URL)),
            token: token.or_else(|| variable(TOKEN).filter(|_| !is_said)),
            token_file,
        }
    }
}

impl Found {
    fn or_settings(self, settings: &Settings) -> Self {
        let client = &settings.client;
        let is_found = self.token.is_some() || self.token_file.is_some();
        Self {
            url: self.url.or_else(|| client.url.clone()),
            token: self.token,
            token_file: self.token_file.or_else(|| client.token_file.clone().filter(|_| !is_found)),
        }
    }
}

/// The URL to which paths are added.
fn base(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', '?', '#']) => {
            Ok(url.trim_end_matches('/').to_owned())
        }
        _ => {
            Err("the URL of a daemon is written https://lockkeeper.example.com or http://127.0.0.1:8080"
                .into())
        }
    }
}

/// The token that was said there; why it is none says nothing of it.
fn token_of(said: &str, place: &str) -> Result<String, String> {
    let token = said.trim();
    if token.is_empty() {
        return Err(format!("the token of {place} is empty"));
    }
    if !token.bytes().all(|sign| sign.is_ascii_graphic()) {
        let mend = "say one token alone, of ASCII without white space";
        return Err(format!(
            "the token of {place} has signs within it that no token has, such as a line end: {mend}"
        ));
    }
    Ok(token.to_owned())
}

/// The first token in a file that may hold several.
fn in_file(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    first.map(str::to_owned).ok_or_else(|| format!("{} is empty", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Sources};

    fn said(url: Option<&str>, token: Option<&str>, file: Option<&str>) -> Reach {
        Reach { url: url.map(Into::into), token: token.map(Into::into), token_file: file.map(Into::into) }
    }

    fn settings() -> Settings {
        let document = "[client]\nurl = 'https://settings'\ntoken_file = '/run/settings'";
        let environment = [("LOCKKEEPER_CONFIG_TOML".to_owned(), document.to_owned())].into();
        settings::load(&Sources { environment, ..Sources::default() }).expect("valid")
    }

    #[test]
    fn what_is_said_wins_over_the_environment_and_that_over_settings() {
        let variables: BTreeMap<String, String> =
            [(URL.into(), "https://variable".into()), (TOKEN.into(), " secret\n".into())].into();
        let found = |reach: Reach, variables: &_| {
            let found = reach.find(variables).or_settings(&settings());
            (found.url.unwrap_or_default(), found.token, found.token_file)
        };
        let (none, secret) = (BTreeMap::new(), Some("secret".to_owned()));
        assert_eq!(
            found(said(None, None, None), &none),
            ("https://settings".into(), None, Some("/run/settings".into()))
        );
        assert_eq!(found(said(None, None, None), &variables), ("https://variable".into(), secret, None));
        assert_eq!(
            found(said(Some("https://said"), None, Some("/said")), &variables),
            ("https://said".into(), None, Some("/said".into()))
        );
        assert_eq!(
            found(said(None, Some("said"), None), &variables),
            ("https://variable".into(), Some("said".into()), None)
        );
    }

    #[test]
    fn a_url_is_the_beginning_of_one_and_carries_no_credentials() {
        assert_eq!(base("https://x.example/ops/"), Ok("https://x.example/ops".into()));
        for wrong in ["x.example", "ftp://x", "https://", "https://me:secret@x", "http://x/?a"] {
            assert!(base(wrong).is_err_and(|told| !told.contains("secret")), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_shown_without_what_stands_around_it_and_one_that_cannot_be_shown_is_refused_untold() {
        let shown = |token: &str| {
            let reach = said(Some("http://127.0.0.1:1"), Some(token), None);
            reach.client(&[]).map(|_| ()).map_err(|ended| match ended {
                Ended::Misused(why) => why,
                Ended::Done | Ended::Failed(_) | Ended::Told(_) => panic!("it was used wrongly"),
            })
        };
        assert_eq!(shown("one-token-of-many\r\n"), Ok(()));
        assert_eq!(token_of(" one-token-of-many\r\n", "x"), Ok("one-token-of-many".into()));
        for wrong in ["hun\nter2", "hun ter2", "hun\u{7}ter2", "hun\u{fc}ter2", " \n"] {
            let told = shown(wrong).expect_err("refused");
            assert!(told.starts_with("the token of --token ") && !told.contains("ter2"), "{told}");
        }
    }

    #[test]
    fn of_several_tokens_in_a_file_the_first_is_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        fs::write(&path, "\n one \ntwo\n").expect("written");
        assert_eq!(in_file(&path), Ok("one".into()));
        fs::write(&path, "\n").expect("written");
        assert!(in_file(&path).is_err());
    }
}
