//! Policies as a layer of tower, before any service that takes manifests, such as the API of a platform: a manifest that
//! a constraint denies never reaches it.
//!
//! ```text
//! cargo run -p portcullis-examples --bin tower-gate -- POLICY.yaml… < manifest.yaml
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{fs, io};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use portcullis::{Decision, EnforcementPoint, Object, PolicySet, Review, World};
use tower::{Layer, Service, ServiceExt as _};

/// Most bytes of a manifest.
const MOST_BYTES: usize = 3 << 20;

/// Puts policies before a service.
#[derive(Clone)]
pub(crate) struct PolicyLayer(pub(crate) Arc<PolicySet>);

impl<S> Layer<S> for PolicyLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { policies: Arc::clone(&self.0), inner }
    }
}

/// A service that only sees what no constraint denies.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    policies: Arc<PolicySet>,
    inner: S,
}

type Answer = Response<Full<Bytes>>;
type Answering = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

impl<S> Service<Request<Full<Bytes>>> for Gate<S>
where
    S: Service<Request<Full<Bytes>>, Response = Answer, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Answering {
        // The one that is ready is the one that is called.
        let inner = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, inner);
        let policies = Arc::clone(&self.policies);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let Ok(body) = Limited::new(body, MOST_BYTES).collect().await else {
                return Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the manifest is too large".to_owned()));
            };
            let body = body.to_bytes();
            match judge(&policies, &body) {
                Ok(()) => inner.call(Request::from_parts(head, Full::new(body))).await,
                Err((code, why)) => Ok(refusal(code, why)),
            }
        })
    }
}

/// Whether a manifest may pass. One that cannot be read may not.
fn judge(policies: &PolicySet, body: &[u8]) -> Result<(), (StatusCode, String)> {
    let text = std::str::from_utf8(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let object = Object::from_yaml(text).map_err(|errors| (StatusCode::BAD_REQUEST, errors.to_string()))?;
    let review = Review::from_object(object);
    let outcome = policies.review(&review, &World::default(), EnforcementPoint::Webhook);
    let decision = Decision::from(&outcome);
    if decision.allowed() { Ok(()) } else { Err((StatusCode::FORBIDDEN, decision.denials().join("\n"))) }
}

fn refusal(code: StatusCode, why: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(why)));
    *response.status_mut() = code;
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push((path.clone(), fs::read_to_string(path)?));
    }
    let policies = PolicySet::load(texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))?;
    let taken = tower::service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("taken\n"))))
    });
    let service = PolicyLayer(Arc::new(policies)).layer(taken);
    let request = Request::new(Full::new(Bytes::from(io::read_to_string(io::stdin())?)));
    let response = service.oneshot(request).await?;
    println!(
        "{}: {}",
        response.status(),
        String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes())
    );
    Ok(())
}
