// A whole rotation through Google's Node client.
// usage: node rotate.js http://127.0.0.1:PORT grpc|rest
// Prints one JSON line for each step; conformance_node_test.go reads them.
'use strict';
const {ClusterManagerClient} = require('@google-cloud/container');

const sim = new URL(process.argv[2]);
const protocol = process.argv[3];
const parent = 'projects/bank-prod/locations/europe-west3';
const name = `${parent}/clusters/orders`;

function connect() {
  const {GoogleAuth, PassThroughClient} = require('google-auth-library');
  // No credentials, and nobody is asked for any.
  const options = {apiEndpoint: sim.hostname, port: Number(sim.port), auth: new GoogleAuth({authClient: new PassThroughClient()})};
  if (protocol === 'rest') {
    return new ClusterManagerClient({...options, fallback: true, protocol: 'http'});
  }
  const {grpc} = require('google-gax');
  return new ClusterManagerClient({...options, sslCreds: grpc.credentials.createInsecure()});
}

const say = (step, value) => console.log(JSON.stringify({step, ...value}));

async function advance(by) {
  const res = await fetch(new URL('/sim/clock', sim), {method: 'POST', body: JSON.stringify({advance: by})});
  if (!res.ok) throw new Error(await res.text());
}

async function refused(step, call) {
  try {
    await call();
    say(step, {message: ''});
  } catch (err) {
    say(step, {code: err.code, message: err.message});
  }
}

async function main() {
  const client = connect();
  const cas = async step => {
    const [cluster] = await client.getCluster({name});
    const pem = Buffer.from(cluster.masterAuth.clusterCaCertificate, 'base64').toString();
    say(step, {cas: pem.split('BEGIN CERTIFICATE').length - 1, status: cluster.status, endpoint: cluster.endpoint});
    return cluster;
  };
  const [list] = await client.listClusters({parent: 'projects/bank-prod/locations/-'});
  say('list', {names: list.clusters.map(c => c.name)});
  await cas('before');
  await refused('complete none', () => client.completeIPRotation({name}));
  const [start] = await client.startIPRotation({name, rotateCredentials: true});
  say('start', {type: start.operationType, status: start.status});
  await refused('start while starting', () => client.startIPRotation({name, rotateCredentials: true}));
  await advance('15m');
  const [done] = await client.getOperation({name: `${parent}/operations/${start.name}`});
  say('started', {type: done.operationType, status: done.status});
  const cluster = await cas('during');
  await refused('start again', () => client.startIPRotation({name, rotateCredentials: true}));
  await refused('complete too early', () => client.completeIPRotation({name}));
  for (const pool of cluster.nodePools) {
    const [op] = await client.updateNodePool({
      name: `${name}/nodePools/${pool.name}`, nodeVersion: pool.version, imageType: pool.config.imageType, etag: pool.etag,
    });
    say(`recreate ${pool.name}`, {type: op.operationType, status: op.status});
  }
  await advance('1h');
  const [complete] = await client.completeIPRotation({name});
  say('complete', {type: complete.operationType, status: complete.status});
  await advance('10m');
  await cas('after');
  const [ops] = await client.listOperations({parent: 'projects/bank-prod/locations/-'});
  say('operations', {names: ops.operations.map(op => `${op.operationType} ${op.status}`)});
  await client.close();
}

main().catch(err => {
  console.error(err);
  process.exit(1);
});
