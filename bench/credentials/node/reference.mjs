// The Node reference, driven over standard input: a line of JSON with what to do, a line of JSON with microseconds of the
// processor.
import * as vc from '@digitalbazaar/vc';
import * as ed25519 from '@digitalbazaar/ed25519-multikey';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite as rdfc} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import * as jcsSuite from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import {createInterface} from 'node:readline';

let task;

async function prepare({document, signed, contexts, seed}) {
  const key = await ed25519.generate({seed: Uint8Array.from(Buffer.from(seed, 'hex'))});
  const did = `did:key:${key.publicKeyMultibase}`;
  key.id = `${did}#${key.publicKeyMultibase}`;
  key.controller = did;
  const method = {
    '@context': 'https://w3id.org/security/multikey/v1', id: key.id, type: 'Multikey', controller: did,
    publicKeyMultibase: key.publicKeyMultibase
  };
  const known = new Map(Object.entries(contexts));
  known.set(key.id, method);
  known.set(did, {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'], id: did,
    verificationMethod: [method], assertionMethod: [key.id]
  });
  const documentLoader = async url => {
    if(!known.has(url)) {
      throw new Error(`not bundled: ${url}`);
    }
    return {contextUrl: null, documentUrl: url, document: known.get(url)};
  };
  const suites = {
    'eddsa-rdfc-2022': {issue: rdfc, verify: rdfc},
    'eddsa-jcs-2022': {issue: jcsSuite.createSignCryptosuite(), verify: jcsSuite.createVerifyCryptosuite()}
  };
  const date = new Date('2026-03-01T09:30:00Z');
  task = {
    issue: async suite => vc.issue({
      // What comes in is JSON text, and what goes out.
      credential: JSON.parse(document), documentLoader,
      suite: new DataIntegrityProof({signer: key.signer(), cryptosuite: suites[suite].issue, date})
    }),
    verify: async suite => {
      const result = await vc.verifyCredential({
        credential: JSON.parse(signed[suite]), documentLoader,
        suite: new DataIntegrityProof({cryptosuite: suites[suite].verify})
      });
      if(!result.verified) {
        throw result.error;
      }
    }
  };
}

for await (const line of createInterface({input: process.stdin})) {
  const asked = JSON.parse(line);
  if(asked.prepare) {
    await prepare(asked.prepare);
    console.log('{}');
    continue;
  }
  const times = [];
  let text;
  for(let turn = 0; turn < asked.count; turn++) {
    const started = process.cpuUsage();
    const answer = await task[asked.operation](asked.suite);
    text = JSON.stringify(answer);
    const {user, system} = process.cpuUsage(started);
    times.push(user + system);
  }
  console.log(JSON.stringify({times, text}));
}
