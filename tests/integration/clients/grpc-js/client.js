// Plays calls with grpc-js, as harness/foreign.py has them: a JSON object on standard input, a list
// of results on standard output. Messages go as bytes, so that no stub stands in between.
'use strict';
const fs = require('fs');
const grpc = require('@grpc/grpc-js');

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const same = (bytes) => bytes;

function connect(script) {
  const options = {
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
  };
  if (script.keepalive_ms) {
    options['grpc.keepalive_time_ms'] = script.keepalive_ms;
    options['grpc.keepalive_timeout_ms'] = 5000;
    options['grpc.keepalive_permit_without_calls'] = 1;
  }
  let target = script.targets[0];
  if (script.targets.length > 1) {
    target = `ipv4:${script.targets.join(',')}`;
    options['grpc.service_config'] = '{"loadBalancingConfig":[{"round_robin":{}}]}';
  }
  const credentials = script.ca
    ? grpc.credentials.createSsl(fs.readFileSync(script.ca))
    : grpc.credentials.createInsecure();
  return new grpc.Client(target, credentials, options);
}

async function write(stream, call, isOver) {
  for (let i = 0; i < call.repeat; i++) {
    for (const message of call.messages) {
      if (isOver()) return;
      if (!stream.write(message)) {
        await new Promise((resolve) => {
          stream.once('drain', resolve);
          stream.once('status', resolve);
        });
      }
    }
  }
  await pause(call.hold_ms);
  stream.end();
}

function play(client, call) {
  const metadata = new grpc.Metadata({ waitForReady: true });
  for (const [name, value] of Object.entries(call.metadata)) metadata.set(name, value);
  if (call.gzip) metadata.set('grpc-internal-encoding-request', 'gzip');
  const options = { deadline: Date.now() + call.deadline_ms };
  return new Promise((resolve) => {
    const stream = client.makeBidiStreamRequest(call.path, same, same, metadata, options);
    const result = { code: null, message: '', responses: [], trailers: {} };
    stream.on('data', (response) => result.responses.push(response.toString('base64')));
    stream.on('error', () => {}); // the status tells
    stream.on('status', (status) => {
      result.code = status.code;
      result.message = status.details;
      for (const [name, value] of Object.entries(status.metadata.getMap())) {
        result.trailers[name] = value.toString();
      }
      setImmediate(() => resolve(result)); // behind the last response
    });
    if (call.cancel_ms) setTimeout(() => stream.cancel(), call.cancel_ms);
    write(stream, call, () => result.code !== null);
  });
}

async function playTimes(client, call) {
  const results = [];
  for (let i = 0; i < call.times; i++) {
    if (i > 0) await pause(call.pause_ms);
    results.push(await play(client, call));
  }
  return results;
}

// Not by readFileSync(0), which throws EAGAIN where the writer has not come to write yet.
async function readInput() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

async function main() {
  const script = JSON.parse(await readInput());
  for (const call of script.calls) {
    call.messages = call.messages.map((message) => Buffer.from(message, 'base64'));
  }
  const client = connect(script);
  const results = await Promise.all(script.calls.map((call) => playTimes(client, call)));
  client.close();
  process.stdout.write(JSON.stringify(results.flat()), () => process.exit());
}

main();
