//! Who needs an image that is gone.
//!
//! ECS pins the digest behind a tag for as long as a deployment lasts: each task that it starts later pulls that. So a
//! container needs an image if it runs its digest, or if its definition names its digest or its tag.

use std::collections::BTreeMap;

use crate::domain::{ContainerName, DefinitionView, Digest, GoneImage, Place};

/// How the containers that need it come by it, in words; none, if nobody does. `registry` is where the image was, and
/// `digests` is what each container runs, where that is known.
pub fn needs(
    gone: &GoneImage,
    registry: &Place,
    definition: &DefinitionView,
    digests: &BTreeMap<ContainerName, Digest>,
) -> Vec<String> {
    let how = |container: &ContainerName| {
        let image = definition.images.get(container)?;
        let (account, region) = image.ecr_home()?;
        if image.repository != gone.repository || (Place { account, region }) != *registry {
            return None;
        }
        let is_it = |digest: Option<&Digest>| digest.is_some() && digest == gone.digest.as_ref();
        let tag = definition.followed_tag(container);
        let by = match () {
            () if is_it(digests.get(container)) => "runs it".to_owned(),
            () if is_it(image.digest.as_ref()) => format!("names it by its digest in {}", definition.id),
            () if image.digest.is_none() && tag.is_some() && tag == gone.tag => {
                format!("names it by its tag in {}", definition.id)
            }
            () => return None,
        };
        Some(format!("container {container} {by}"))
    };
    definition.images.keys().filter_map(how).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DefinitionView, Marks};

    const HERE: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop/web";
    const DIGEST: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const OTHER: &str = "sha256:11112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn place(region: &str) -> Place {
        Place { account: "111122223333".into(), region: region.into() }
    }

    fn told(image: &str, runs: Option<&str>, tag: Option<&str>) -> Vec<String> {
        let images = [("web".into(), image.parse().expect("an image"))].into();
        let definition =
            DefinitionView { id: "shop:7".parse().expect("valid"), images, marks: Marks::default() };
        let digests = runs.map(|digest| ("web".into(), digest.into())).into_iter().collect();
        let gone = GoneImage {
            repository: "shop/web".into(),
            tag: tag.map(Into::into),
            digest: Some(DIGEST.into()),
            archived: false,
        };
        assert!(needs(&gone, &place("us-east-1"), &definition, &digests).is_empty(), "it is another's");
        needs(&gone, &place("eu-west-1"), &definition, &digests)
    }

    #[test]
    fn a_container_needs_what_it_runs_and_what_its_definition_names() {
        for (image, runs, tag, expected) in [
            (format!("{HERE}:v1"), Some(DIGEST), None, "container web runs it"),
            (format!("{HERE}@{DIGEST}"), None, None, "container web names it by its digest in shop:7"),
            (format!("{HERE}:v1"), Some(OTHER), Some("v1"), "container web names it by its tag in shop:7"),
            (HERE.to_owned(), None, Some("latest"), "container web names it by its tag in shop:7"),
        ] {
            assert_eq!(told(&image, runs, tag), [expected], "{image}");
        }
    }

    #[test]
    fn nobody_needs_an_image_that_is_neither_run_nor_named() {
        for (image, runs, tag) in [
            (format!("{HERE}:v1"), Some(OTHER), Some("v2")),
            (format!("{HERE}:v1@{OTHER}"), None, Some("v1")),
            (format!("{HERE}:v1"), None, None),
            ("nginx:v1".to_owned(), None, Some("v1")),
            (format!("{HERE}/other:v1"), Some(DIGEST), Some("v1")),
        ] {
            assert!(told(&image, runs, tag).is_empty(), "{image}");
        }
    }
}
