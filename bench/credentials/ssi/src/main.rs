// The Rust library `ssi`, driven over standard input as the Node reference is: a line of JSON with what to do, a line of
// JSON with microseconds of the processor.
use std::collections::HashMap;
use std::io::{stdin, BufRead};

use serde_json::{from_str, from_value, json, to_string, Value};
use ssi::claims::data_integrity::{from_json_str, AnySuite, CryptographicSuite, DataIntegrity, ProofOptions};
use ssi::claims::vc::v2::JsonCredential;
use ssi::claims::{SignatureEnvironment, VerificationParameters};
use ssi::dids::{AnyDidMethod, VerificationMethodDIDResolver};
use ssi::json_ld::ContextLoader;
use ssi::verification_methods::{AnyMethod, SingleSecretSigner};
use ssi::JWK;

const PROCESS_CPU_TIME: i32 = 2;

extern "C" {
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
}

struct Task {
    document: String,
    signed: String,
    method: Value,
    created: Value,
    key: JWK,
    contexts: ContextLoader,
    keys: VerificationMethodDIDResolver<AnyDidMethod, AnyMethod>,
}

impl Task {
    fn new(given: &Value) -> Task {
        let contexts: HashMap<String, String> = given["contexts"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(url, context)| (url.clone(), context.to_string()))
            .collect();
        Task {
            document: given["document"].as_str().unwrap().to_owned(),
            signed: given["signed"]["eddsa-rdfc-2022"].as_str().unwrap().to_owned(),
            method: given["method"].clone(),
            created: given["created"].clone(),
            key: from_value(given["key"].clone()).unwrap(),
            // Nothing is fetched: what is not among these fails.
            contexts: ContextLoader::empty().with_context_map_from(contexts).unwrap(),
            keys: VerificationMethodDIDResolver::new(AnyDidMethod::default()),
        }
    }

    async fn issue(&self) -> String {
        let credential: JsonCredential = from_str(&self.document).unwrap();
        let signer = SingleSecretSigner::new(self.key.clone()).into_local();
        let mut options = ProofOptions::from_method(from_value(self.method.clone()).unwrap());
        options.created = Some(from_value(self.created.clone()).unwrap());
        let environment = SignatureEnvironment { json_ld_loader: &self.contexts, eip712_loader: () };
        let signed = AnySuite::EdDsaRdfc2022
            .sign_with(environment, credential, &self.keys, signer, options, Default::default())
            .await
            .unwrap();
        to_string(&signed).unwrap()
    }

    async fn verify(&self) -> String {
        let credential: DataIntegrity<JsonCredential, AnySuite> = from_json_str(&self.signed).unwrap();
        let parameters = VerificationParameters::from_resolver(&self.keys).with_json_ld_loader(&self.contexts);
        credential.verify(parameters).await.unwrap().unwrap();
        String::new()
    }
}

fn cpu_nanoseconds() -> i64 {
    let mut time = [0; 2];
    assert_eq!(unsafe { clock_gettime(PROCESS_CPU_TIME, &mut time) }, 0);
    time[0] * 1_000_000_000 + time[1]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut prepared = None;
    for line in stdin().lock().lines() {
        let asked: Value = from_str(&line.unwrap()).unwrap();
        if let Some(given) = asked.get("prepare") {
            prepared = Some(Task::new(given));
            println!("{{}}");
            continue;
        }
        let task = prepared.as_ref().expect("prepare comes first");
        let mut times = Vec::new();
        let mut text = String::new();
        for _ in 0..asked["count"].as_u64().unwrap() {
            let started = cpu_nanoseconds();
            text = match asked["operation"].as_str().unwrap() {
                "issue" => runtime.block_on(task.issue()),
                _ => runtime.block_on(task.verify()),
            };
            times.push((cpu_nanoseconds() - started) as f64 / 1000.0);
        }
        println!("{}", json!({"times": times, "text": text}));
    }
}
