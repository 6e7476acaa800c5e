// @polkadot/api, unmodified, on pallets of our own: a lease, a bond, and what it stands behind.
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { cryptoWaitReady } from '@polkadot/util-crypto';

await cryptoWaitReady();
const api = await ApiPromise.create({ provider: new WsProvider(process.argv[2]), noInitWarn: true });
const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 });
const [alice, bob, miner] = ['Alice', 'Bob', 'Charlie'].map((n) => keyring.addFromUri(`//${n}`));
const model = 'ganglion/tiny';

function check(condition, what) {
  if (!condition) throw new Error(what);
}

function send(tx, who) {
  return new Promise((resolve, reject) => {
    tx.signAndSend(who, (result) => {
      if (result.dispatchError) {
        const known = api.registry.findMetaError(result.dispatchError.asModule);
        reject(new Error(`${known.section}.${known.name}`));
      } else if (result.status.isInBlock || result.status.isFinalized) {
        resolve(result.events.map(({ event }) => event.method));
      }
    }).catch(reject);
  });
}

const { market, leases, bonds, subtensorModule } = api.tx;
await send(subtensorModule.burnedRegister(1, miner.address), bob);
const prices = { prompt: 500, cached: 100, completion: 2000 };
const posted = await send(market.postAsk(1, model, miner.address, prices, 600, 100), miner);
check(posted.includes('AskPosted'), posted);
const ask = (await api.query.market.asks(1, model, miner.address)).unwrap();
check(ask.prices.completion.toNumber() === 2000, ask);
check((await api.call.marketRuntimeApi.baseFee(1, model)).toNumber() === 1000, 'base fee');
const spec = { netuid: 1, model, capacity: 500, maxRate: 1000, duration: 100, lessee: alice.address };
await send(leases.createOrder(spec, 50, 10_000_000), alice);
await send(leases.bid(0, miner.address, 900), bob);
check((await send(leases.accept(0), alice)).includes('LeaseStarted'), 'no lease');
check((await api.query.leases.escrows(0)).unwrap().state.isOpen, 'not open');
check((await api.query.leases.leases(0)).unwrap().rate.toNumber() === 900, 'rate');
await send(leases.deposit(0, 5000), alice);
check((await send(leases.close(0), miner)).includes('LeaseClosed'), 'not closed');
check((await api.query.leases.orders(0)).isNone, 'order left');
check((await send(bonds.bond(1, miner.address, 10 ** 9), bob)).includes('Bonded'), 'no bond');
const word = (digits) => `0x${digits.repeat(32)}`;
const program = {
  weights: word('11'), layers: 1, hidden: 4, heads: 1, kvHeads: 1, head: 4, inner: 4, vocab: 300,
  context: 8, epsilon: '4532020583610935537', theta: '4666723172467343360', tileBits: 5,
  blockBits: 1, text: { bos: 256, eos: 257, system: 258, user: 259, assistant: 260 },
  root: word('22'),
};
const { disputes } = api.tx;
check((await send(disputes.publish(program), alice)).includes('ProgramPublished'), 'no program');
const [[key, kept]] = await api.query.disputes.programs.entries();
check(kept.unwrap().program.text.unwrap().assistant.toNumber() === 260, kept);
check((await send(disputes.accept(1, miner.address, key.args[0]), bob)).includes('ProgramAccepted'));
check((await api.query.disputes.accepted(1, miner.address, program.weights)).isSome, 'accepted');
check(api.consts.leases.orderMaxBids.toNumber() === 20, 'constant');
console.log('all well');
process.exit(0);
