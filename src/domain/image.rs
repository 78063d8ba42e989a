//! Image references, as task definitions write them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AccountId, Digest, Region, RepositoryName, Tag, harmless};

/// `registry/repository:tag@digest`, each but the repository optional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// The host of the registry with its port, as `111122223333.dkr.ecr.eu-west-1.amazonaws.com`; none means Docker Hub.
    pub registry: Option<String>,
    /// The repository below the registry, which may be nested.
    pub repository: RepositoryName,
    /// The tag; an image without tag and digest means `latest`.
    pub tag: Option<Tag>,
    /// The digest, which wins over the tag.
    pub digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an image: {why}")]
pub struct NotAnImage {
    text: String,
    why: &'static str,
}

impl ImageReference {
    /// The tag that is pulled: the one written, `latest` where none is. None where a digest is named: that is what is
    /// pulled, whatever tag stands beside it.
    pub fn effective_tag(&self) -> Option<Tag> {
        self.named_tag().filter(|_| self.digest.is_none())
    }

    /// The tag that it is called by, also where a digest beside it says what is pulled.
    pub fn named_tag(&self) -> Option<Tag> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag.clone()),
            (None, None) => Some("latest".into()),
            (None, Some(_)) => None,
        }
    }

    /// The account and Region of the private ECR registry that this image is in, if it is in one. Its host is
    /// `111122223333.dkr.ecr.eu-west-1.amazonaws.com`, in China with `.cn` behind it, or in dual stack
    /// `111122223333.dkr-ecr.eu-west-1.on.aws`; one with FIPS says `ecr-fips`.
    pub fn ecr_home(&self) -> Option<(AccountId, Region)> {
        let (account, rest) = self.registry.as_deref()?.split_once(".dkr")?;
        let rest = rest.strip_prefix(['.', '-'])?.strip_prefix("ecr")?;
        let (region, _) = rest.strip_prefix("-fips").unwrap_or(rest).strip_prefix('.')?.split_once('.')?;
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (digits && !region.is_empty()).then(|| (account.into(), region.into()))
    }

    /// The same repository with another tag, and no digest.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Self {
        Self { tag: Some(tag), digest: None, ..self.clone() }
    }

    /// The same repository at this digest, and no tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

impl FromStr for ImageReference {
    type Err = NotAnImage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why| NotAnImage { text: harmless(text, 300), why };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("it contains white space, or a character that no image has"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("what stands behind `@` is not a digest such as sha256:…"));
        }
        let (path, tag) = split_tag(name);
        let (registry, repository) = split_registry(path);
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("the tag has characters that a tag cannot have"));
        }
        if repository.is_empty() || repository.split('/').any(str::is_empty) {
            return Err(wrong("the repository is empty"));
        }
        if repository.contains(':') {
            return Err(wrong(
                "a second colon stands in it, and one alone parts the tag from the repository",
            ));
        }
        Ok(Self {
            registry: registry.map(Into::into),
            repository: repository.into(),
            tag: tag.map(Into::into),
            digest: digest.map(Into::into),
        })
    }
}

/// Whether this could be the tag of an image: up to 128 letters, digits, `_`, `.` and `-`, not led by `.` or `-`.
pub fn is_tag(text: &str) -> bool {
    let led_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    led_well
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Whether a registry could have this repository: lowercase letters, digits, `.`, `_` and `-`, in parts between slashes.
pub fn is_repository(name: &RepositoryName) -> bool {
    let is_sign = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-' | b'/')
    };
    name.as_str().bytes().all(is_sign)
}

/// Whether this has the form `algorithm:hex`.
pub fn is_digest(text: &str) -> bool {
    let of_algorithm = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'_' | b'-');
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(of_algorithm)
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// A colon behind the last slash separates the tag; one before it belongs to the registry's port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    }
}

/// The first part is a registry if it could be a host: it has a dot or a port, or is `localhost`.
fn split_registry(path: &str) -> (Option<&str>, &str) {
    match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, path),
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Serialize for ImageReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ImageReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image(text: &str) -> ImageReference {
        text.parse().expect("valid")
    }

    #[test]
    fn a_port_is_not_a_tag() {
        let it = image("registry.example:5000/shop/api");
        assert_eq!(it.registry.as_deref(), Some("registry.example:5000"));
        assert_eq!((it.repository.as_str(), it.tag.as_ref()), ("shop/api", None));
        assert_eq!(it.effective_tag(), Some("latest".into()));
    }

    #[test]
    fn tag_and_digest_are_both_kept() {
        let it = image(&format!("localhost/api:1.2@{DIGEST}"));
        assert_eq!(
            (it.tag.as_ref().map(Tag::as_str), it.digest.as_ref().map(Digest::as_str)),
            (Some("1.2"), Some(DIGEST))
        );
        assert_eq!((it.named_tag(), it.effective_tag()), (Some("1.2".into()), None), "the digest is pulled");
    }

    #[test]
    fn a_nested_name_without_a_host_is_all_repository() {
        assert_eq!(image("library/nginx:1").repository.as_str(), "library/nginx");
        assert_eq!(image("nginx").registry, None);
    }

    #[test]
    fn an_ecr_image_tells_its_account_and_region() {
        for (host, region) in [
            ("dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
            ("dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
            ("dkr-ecr-fips.us-east-1.on.aws", "us-east-1"),
            ("dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"),
        ] {
            let it = image(&format!("111122223333.{host}/api:x"));
            assert_eq!(it.ecr_home(), Some(("111122223333".into(), region.into())), "{host}");
        }
    }

    #[test]
    fn an_image_from_elsewhere_is_in_no_account() {
        for text in [
            "public.ecr.aws/x/y:1",
            "nginx",
            "registry.example:5000/dkr.ecr.eu-west-1.amazonaws.com/a",
            "shop.dkr.ecr.eu-west-1.amazonaws.com/a",
            "111122223333.dkr.ecr-private.eu-west-1.amazonaws.com/a",
            "111122223333.dkr.ecr..amazonaws.com/a",
            "111122223333.dkrXecr.eu-west-1.amazonaws.com/a",
        ] {
            assert_eq!(image(text).ecr_home(), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["a", "a:b", "h.x:1/a/b:c", &format!("a@{DIGEST}"), &format!("h.x/a:t@{DIGEST}")] {
            assert_eq!(image(text).to_string(), text);
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in [
            "",
            ":x",
            "a:",
            "a@b",
            "a b",
            "h.x//a",
            "a/",
            "a:-x",
            "h.x:5/",
            "a:b:c",
            "x/a:b/c:d",
            "a\u{202e}b",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn what_is_refused_is_told_in_one_line() {
        let error = "a\nb".parse::<ImageReference>().expect_err("two lines").to_string();
        assert!(error.starts_with("`a\u{fffd}b` is not an image"), "{error}");
    }

    #[test]
    fn a_digest_names_its_algorithm_in_plain_letters() {
        assert!(is_digest(DIGEST) && is_digest(&DIGEST.replace("sha256", "a+b")));
        for algorithm in ["", "sha\n256", "a@sha256", "é"] {
            assert!(!is_digest(&DIGEST.replace("sha256", algorithm)), "{algorithm:?} was taken");
        }
    }

    #[test]
    fn another_tag_drops_the_digest_and_keeps_the_registry() {
        let it = image(&format!("h.x/a:t@{DIGEST}")).with_tag("u".into());
        assert_eq!(it.to_string(), "h.x/a:u");
        assert_eq!(it.with_digest(DIGEST.into()).to_string(), format!("h.x/a@{DIGEST}"));
    }

    #[test]
    fn what_only_looks_like_an_ecr_registry_has_no_home() {
        for account in ["11112222333", "1111222233334", "11112222333x", "x"] {
            let text = format!("{account}.dkr.ecr.eu-west-1.amazonaws.com/api:x");
            assert_eq!(image(&text).ecr_home(), None, "{account}");
        }
        assert_eq!(image("111122223333.dkr.ecr./api:x").ecr_home(), None);
    }

    #[test]
    fn a_digest_is_an_algorithm_and_32_hexadecimal_digits_at_least() {
        let hex = "0123456789abcdef0123456789ABCDEF";
        assert!(is_digest(&format!("md5:{hex}")) && is_digest(DIGEST));
        let wrong = [hex.into(), format!(":{hex}"), format!("md5:{}", &hex[1..]), format!("md5:{hex}g")];
        assert!(!wrong.iter().any(|text| is_digest(text)));
    }

    #[test]
    fn no_repository_has_capitals() {
        let could_be = |name: &str| is_repository(&name.into());
        assert!(could_be("shop/api-2_x.y") && !could_be("UPPER/x") && !could_be("shop/a+b"));
    }

    #[test]
    fn a_tag_has_128_characters_at_most() {
        assert!(is_tag(&"t".repeat(128)) && !is_tag(&"t".repeat(129)));
    }
}
