//! How AWS is reached: Region, endpoints, credentials, timeouts, retries. Nothing is called here.
//!
//! Everything that AWS's own variables and profile say is honoured, among it `AWS_ENDPOINT_URL` and its forms for
//! one service (`AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL_ECS`, `AWS_ENDPOINT_URL_STS`,
//! `AWS_ENDPOINT_URL_DYNAMODB`). The system's certificates are read when the first `https` address is called, not before:
//! an emulator on `http` never pays for them.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, sts::AssumeRoleProvider,
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
    stalled_stream_protection::StalledStreamProtectionConfig,
};

use super::{Fence, Observer, observe::Calls};
use crate::domain::Region;

/// How long a connection may take to open. Within a Region that is milliseconds; a lost SYN is sent again after
/// 1 s, so this allows one to be lost.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long one attempt of a read, and of a call to SQS that holds messages longer, may take: AWS answers in tens of
/// milliseconds, and an attempt that took 5 s is better made again on another connection.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an attempt of a call that changes something in ECS, or sends or deletes a message, may take. With a lease
/// table, it is begun only with more lease left than this (of 12 s), and after a change of ECS whose answer was lost a look
/// waits this long plus 5 s.
pub const CHANGE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a long poll may take beyond its own wait, before the connection counts as dead.
pub const RECEIVE_MARGIN: Duration = Duration::from_secs(10);

/// How long a call to the lease table may take: a renewal that is not answered by then is made again.
pub const TABLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a read is tried: the first attempt and two more, with a growing delay between them. Calls that change
/// something are tried once: one whose answer was lost may have taken effect.
pub const READ_ATTEMPTS: u32 = 3;

/// What the sessions of roles that are assumed are called: CloudTrail shows it.
const SESSION_NAME: &str = "lockkeeper";

/// The way to AWS in one Region, with one set of credentials.
#[derive(Clone, Debug)]
pub struct Connections {
    config: SdkConfig,
    region: Region,
    calls: Calls,
    fence: Fence,
}

impl Connections {
    /// Reads Region, endpoints and credential sources from AWS's variables and profile; `region`, where given, wins.
    /// Calls nothing but, where no Region is set, the metadata service of an EC2 host.
    pub async fn load(region: Option<Region>, observer: Arc<dyn Observer>) -> anyhow::Result<Self> {
        let loader = match region {
            Some(region) => loader().region(sdk_region(&region)),
            None => loader(),
        };
        let config = loader.load().await;
        let found = config
            .region()
            .filter(|region| !region.as_ref().is_empty())
            .context("no Region is set: set AWS_REGION, as AWS_REGION=eu-west-1")?;
        let region = Region::from(found.as_ref());
        let calls = Calls::new(observer, region.clone());
        Ok(Self { config, region, calls, fence: Fence::open() })
    }

    /// The way to a simulated AWS at this address, as this account. AWS's variables play no part.
    #[cfg(feature = "sim")]
    pub async fn simulated(
        endpoint: &str,
        account: &crate::domain::AccountId,
        region: Region,
        observer: Arc<dyn Observer>,
    ) -> Self {
        // The simulated world reads the account off the access key.
        let credentials =
            aws_credential_types::Credentials::new(account.as_str(), "simulated", None, None, "simulated");
        let loader = loader().region(sdk_region(&region)).endpoint_url(endpoint);
        let config = loader.credentials_provider(credentials).load().await;
        let calls = Calls::new(observer, region.clone());
        Self { config, region, calls, fence: Fence::open() }
    }

    /// The same, with all requests sent by this client instead of over the network.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn over(mut self, client: impl HttpClient + 'static) -> Self {
        self.config = self.config.to_builder().http_client(client).build();
        self
    }

    /// The Region that is called where a target does not say otherwise.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The same way to another Region.
    #[must_use]
    pub fn in_region(&self, region: &Region) -> Self {
        let config = self.config.to_builder().region(sdk_region(region)).build();
        let calls = self.calls.in_region(region.clone());
        Self { config, region: region.clone(), calls, fence: self.fence.clone() }
    }

    /// The same way as this role. Its credentials are got when a first call needs them, and renewed before they end.
    pub async fn assuming(&self, role_arn: &str, external_id: Option<&str>) -> Self {
        let role = AssumeRoleProvider::builder(role_arn).session_name(SESSION_NAME).configure(&self.config);
        let role = match external_id {
            Some(id) => role.external_id(id),
            None => role,
        };
        let credentials = SharedCredentialsProvider::new(role.build().await);
        let config = self.config.to_builder().credentials_provider(credentials).build();
        Self { config, ..self.clone() }
    }

    /// The same way, where calls that change something are begun only if this fence lets them pass.
    #[must_use]
    pub fn fenced(self, fence: Fence) -> Self {
        Self { fence, ..self }
    }

    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        self.calls.observer()
    }

    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(super) fn sts(&self, timeout: Duration) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config).timeout_config(timeouts(timeout));
        aws_sdk_sts::Client::from_conf(config.build())
    }

    pub(super) fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// Tried once: who holds a lease tries again in its own time.
    pub(super) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .timeout_config(timeouts(TABLE_TIMEOUT))
            .retry_config(RetryConfig::disabled());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    pub(super) fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    /// For what is sent: tried once, because who sends tries again in its own time.
    pub(super) fn eventbridge_once(&self) -> aws_sdk_eventbridge::Client {
        let config =
            aws_sdk_eventbridge::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_eventbridge::Client::from_conf(config.build())
    }

    /// The same.
    pub(super) fn sns_once(&self) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_sns::Client::from_conf(config.build())
    }

    /// IAM is one for all Regions of a partition; the SDK knows where.
    pub(super) fn iam(&self) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.config)
    }

    pub(super) fn cloudtrail(&self) -> aws_sdk_cloudtrail::Client {
        aws_sdk_cloudtrail::Client::new(&self.config)
    }

    /// For reads. The SDK tries each once: whoever tries again takes another token first.
    pub(super) fn ecs_reads(&self) -> aws_sdk_ecs::Client {
        let config = aws_sdk_ecs::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_ecs::Client::from_conf(config.build())
    }

    /// For reads, which take a token for each attempt; the same of the three below.
    pub(super) fn ecr(&self) -> aws_sdk_ecr::Client {
        let config = aws_sdk_ecr::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_ecr::Client::from_conf(config.build())
    }

    pub(super) fn ssm(&self) -> aws_sdk_ssm::Client {
        let config = aws_sdk_ssm::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_ssm::Client::from_conf(config.build())
    }

    pub(super) fn secretsmanager(&self) -> aws_sdk_secretsmanager::Client {
        let config =
            aws_sdk_secretsmanager::config::Builder::from(&self.config).retry_config(RetryConfig::disabled());
        aws_sdk_secretsmanager::Client::from_conf(config.build())
    }

    /// Emulators have no names for single buckets.
    pub(super) fn s3(&self) -> aws_sdk_s3::Client {
        let is_emulated =
            self.config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .retry_config(RetryConfig::disabled())
            .force_path_style(is_emulated);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// For calls that change something: fenced, tried once, and with a shorter timeout.
    pub(super) fn ecs_changes(&self) -> aws_sdk_ecs::Client {
        let config = aws_sdk_ecs::config::Builder::from(&self.config)
            .timeout_config(timeouts(CHANGE_TIMEOUT))
            .retry_config(RetryConfig::disabled())
            .interceptor(self.fence.clone());
        aws_sdk_ecs::Client::from_conf(config.build())
    }
}

/// What is the same wherever we call.
fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(ByScheme::new())
        .timeout_config(timeouts(READ_TIMEOUT))
        .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS))
        // Every attempt has a timeout of its own, and no body is large.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// These timeouts for one attempt. Without them the SDK waits for ever on a socket that accepts and never answers.
pub(super) fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(attempt).build()
}

/// Sends `http` requests without ever loading TLS, and all others through TLS that is loaded by the first of them.
#[derive(Debug)]
struct ByScheme {
    plain: SharedHttpClient,
    tls: SharedHttpClient,
}

impl ByScheme {
    fn new() -> Self {
        let builder = aws_smithy_http_client::Builder::new;
        let tls = builder().build_with_connector_fn(|settings, components| {
            let mut connector = Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            connector.build()
        });
        Self { plain: builder().build_http(), tls }
    }
}

impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ConnectorByScheme {
            plain: self.plain.clone(),
            tls: self.tls.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct ConnectorByScheme {
    plain: SharedHttpClient,
    tls: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for ConnectorByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = if request.uri().starts_with("http://") { &self.plain } else { &self.tls };
        client.http_connector(&self.settings, &self.components).call(request)
    }
}
