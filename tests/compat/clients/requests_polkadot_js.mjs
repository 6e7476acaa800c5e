// @polkadot/api, unmodified: a request from the chain, its answer, and the callback, as events.
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { cryptoWaitReady } from '@polkadot/util-crypto';

await cryptoWaitReady();
const api = await ApiPromise.create({ provider: new WsProvider(process.argv[2]), noInitWarn: true });
const alice = new Keyring({ type: 'sr25519', ss58Format: 42 }).addFromUri('//Alice');
const inbox = 'from-polkadot-js';

function check(condition, what) {
  if (!condition) throw new Error(what);
}

const seen = [];
let over;
const ended = new Promise((resolve) => {
  over = resolve;
});
await api.query.system.events((records) => {
  for (const { event } of records) {
    if (event.section !== 'inferenceRequests') continue;
    seen.push(event.method);
    if (event.method === 'CalledBack') over(event.data);
  }
});

const { put } = api.tx.inferenceRequests;
const now = (await api.rpc.chain.getHeader()).number.toNumber();
const ask = {
  netuid: 1,
  model: 'ganglion/tiny',
  weights: null,
  input: { Inline: 'Which client asks?' },
  maxTokens: 16,
  temperature: 700,
  seed: 'Shared',
  redundancy: 1,
  mode: 'First',
  requirement: { stake: 0, incentive: 0, bond: 0, exact: true },
  price: 5_000_000,
  deadline: now + 50,
  work: 50,
  callback: { pallet: put.callIndex[0], call: put.callIndex[1], data: inbox },
};
await new Promise((resolve, reject) => {
  api.tx.inferenceRequests.request(ask).signAndSend(alice, (result) => {
    if (result.dispatchError) {
      reject(new Error(api.registry.findMetaError(result.dispatchError.asModule).name));
    } else if (result.status.isInBlock || result.status.isFinalized) {
      resolve();
    }
  }).catch(reject);
});
const [id, outcome] = await ended;
check(outcome.isOk, outcome.toString());
for (const name of ['Requested', 'Fulfilled', 'CalledBack']) check(seen.includes(name), seen);
const entry = (await api.query.inferenceRequests.inbox(alice.address, inbox)).unwrap();
const answer = (await api.query.inferenceRequests.results(id)).unwrap();
check(entry.output.eq(answer.output), 'the inbox holds another answer');
check(answer.parts[0].verdict.isAgreed, answer.parts.toString());
check(api.consts.inferenceRequests.maxSeats.toNumber() === 7, 'constant');
console.log(seen.join(' '));
console.log('all well');
process.exit(0);
