// A signing service as the DCC's is: each request brings a credential over HTTP, and @digitalbazaar/vc signs it.
// The first line of standard input has the contexts and the seed; the port and the issuer are printed.
import * as vc from '@digitalbazaar/vc';
import * as ed25519 from '@digitalbazaar/ed25519-multikey';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {createServer} from 'node:http';
import {createInterface} from 'node:readline';

const {value} = await createInterface({input: process.stdin})[Symbol.asyncIterator]().next();
const {contexts, seed} = JSON.parse(value);
const known = new Map(Object.entries(contexts));
const key = await ed25519.generate({seed: Uint8Array.from(Buffer.from(seed, 'hex'))});
const did = `did:key:${key.publicKeyMultibase}`;
key.id = `${did}#${key.publicKeyMultibase}`;
key.controller = did;

const documentLoader = async url => {
  if(!known.has(url)) {
    throw new Error(`not bundled: ${url}`);
  }
  return {contextUrl: null, documentUrl: url, document: known.get(url)};
};

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) {
    parts.push(part);
  }
  try {
    const {credential} = JSON.parse(Buffer.concat(parts).toString());
    const suite = new DataIntegrityProof({signer: key.signer(), cryptosuite});
    const signed = await vc.issue({credential, documentLoader, suite});
    response.writeHead(201, {'Content-Type': 'application/json'}).end(JSON.stringify(signed));
  } catch(error) {
    response.writeHead(500).end(String(error.stack));
  }
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({port: server.address().port, did})));
