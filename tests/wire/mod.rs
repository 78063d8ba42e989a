//! Requests of the real SDK go to the simulated world without a network in between, so that whole daemons run in virtual
//! time: minutes take seconds.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::{DateTime, body::SdkBody, date_time::Format};
use axum::{Router, body::Body};
use lockkeeper::sim::front::Front;
use tower::ServiceExt as _;

/// Brings requests of the SDK to the world within the process.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    front: Front,
    router: Router,
}

impl Wire {
    /// To this world.
    pub(crate) fn to(front: &Front) -> Self {
        Self { front: front.clone(), router: front.local() }
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { front, router } = self.clone();
        HttpConnectorFuture::new(async move {
            let other = |error: axum::http::Error| ConnectorError::other(error.into(), None);
            let mut asked = axum::http::Request::builder().method(request.method()).uri(request.uri());
            for (name, value) in request.headers() {
                asked = asked.header(name, value);
            }
            let body = request.body().bytes().unwrap_or_default().to_vec();
            let answer = router.oneshot(asked.body(Body::from(body)).map_err(other)?).await.unwrap();
            let (head, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let status = StatusCode::try_from(head.status.as_u16()).unwrap();
            let mut response = HttpResponse::new(status, SdkBody::from(body.to_vec()));
            for (name, value) in &head.headers {
                response.headers_mut().insert(name.to_string(), value.to_str().unwrap().to_owned());
            }
            let date = DateTime::from_millis(front.now().as_millis()).fmt(Format::HttpDate).unwrap();
            response.headers_mut().insert("date", date);
            Ok(response)
        })
    }
}
