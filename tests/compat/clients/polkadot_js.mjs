// @polkadot/api 16.5.6, unmodified: every cell through api.tx and api.query.
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api';
import { blake2AsHex, cryptoWaitReady } from '@polkadot/util-crypto';
import { askForRestart, run, sleep } from './kit.mjs';

const url = process.argv[2];
await cryptoWaitReady();
const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 });
const alice = keyring.addFromUri('//Alice');
const bob = keyring.addFromUri('//Bob');
const ownerHotkey = keyring.addFromUri('//PolkadotJs//owner');
const minerHotkey = keyring.addFromUri('//PolkadotJs//miner');

function check(condition, message) {
  if (!condition) throw new Error(message ?? 'not as expected');
}

function send(ctx, tx, who) {
  return new Promise((resolve, reject) => {
    tx.signAndSend(who, (result) => {
      if (result.dispatchError) {
        const error = result.dispatchError;
        const known = error.isModule ? ctx.api.registry.findMetaError(error.asModule) : null;
        reject(new Error(known ? `${known.section}.${known.name}` : error.toString()));
      } else if (result.status.isInBlock) {
        resolve(result);
      } else if (result.isError) {
        reject(new Error(result.status.toString()));
      }
    }).catch(reject);
  });
}

async function sudo(ctx, call) {
  const result = await send(ctx, ctx.api.tx.sudo.sudo(call), alice);
  const done = result.events.find(({ event }) => ctx.api.events.sudo.Sudid.is(event));
  check(done && done.event.data[0].isOk, `sudo failed: ${done?.event.data}`);
}

const uidOf = async (ctx, key) =>
  (await ctx.api.query.subtensorModule.uids(ctx.netuid, key.address)).unwrap().toNumber();

const cells = {
  async connect(ctx) {
    ctx.api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true });
    return `${await ctx.api.rpc.system.chain()} spec ${ctx.api.runtimeVersion.specVersion}`;
  },
  async read(ctx) {
    const { data } = await ctx.api.query.system.account(alice.address);
    check(data.free.toBigInt() > 10n ** 9n);
    const networks = await ctx.api.query.subtensorModule.networksAdded.entries();
    check(networks.length >= 1);
    await ctx.api.call.neuronInfoRuntimeApi.getNeuronsLite(1);
    return `${networks.length} networks`;
  },
  async subscribe(ctx) {
    const seen = [];
    await new Promise((resolve) => {
      ctx.api.rpc.chain.subscribeNewHeads((header) => {
        seen.push(header.number.toNumber());
        if (seen.length === 3) resolve();
      });
    });
    return `blocks ${seen.slice(0, 3)}`;
  },
  async transfer(ctx) {
    const before = (await ctx.api.query.system.account(bob.address)).data.free.toBigInt();
    const result = await send(ctx, ctx.api.tx.balances.transferKeepAlive(bob.address, 10n ** 9n), alice);
    const after = (await ctx.api.query.system.account(bob.address)).data.free.toBigInt();
    check(after - before === 10n ** 9n, `${before} -> ${after}`);
    return result.events.map(({ event }) => event.method).join(' ');
  },
  async sudo_hyperparameter(ctx) {
    const set = ctx.api.tx.adminUtils;
    await sudo(ctx, set.sudoSetTempo(1, 99));
    check((await ctx.api.query.subtensorModule.tempo(1)).toNumber() === 99);
    await sudo(ctx, set.sudoSetNetworkRateLimit(0));
    await sudo(ctx, set.sudoSetTxRateLimit(0));
    await sudo(ctx, set.sudoSetAdminFreezeWindow(0));
  },
  async register_subnet(ctx) {
    await sudo(ctx, ctx.api.tx.balances.forceSetBalance(bob.address, 10n ** 15n));
    const result = await send(ctx, ctx.api.tx.subtensorModule.registerNetwork(ownerHotkey.address), bob);
    const added = result.events.find(({ event }) => ctx.api.events.subtensorModule.NetworkAdded.is(event));
    ctx.netuid = added.event.data[0].toNumber();
    const set = ctx.api.tx.adminUtils;
    await sudo(ctx, set.sudoSetCommitRevealWeightsEnabled(ctx.netuid, false));
    await sudo(ctx, set.sudoSetWeightsSetRateLimit(ctx.netuid, 0));
    for (let tries = 0; ; tries++) {
      try {
        await send(ctx, ctx.api.tx.subtensorModule.startCall(ctx.netuid), bob);
        break;
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(500);
      }
    }
    return `netuid ${ctx.netuid}`;
  },
  async register_neuron(ctx) {
    await send(ctx, ctx.api.tx.subtensorModule.burnedRegister(ctx.netuid, minerHotkey.address), bob);
    return `uid ${await uidOf(ctx, minerHotkey)}`;
  },
  async serve_axon(ctx) {
    for (const key of [ownerHotkey, minerHotkey]) {
      await sudo(ctx, ctx.api.tx.balances.forceSetBalance(key.address, 10n ** 11n));
    }
    const ip = (203 * 2 ** 24) + (113 << 8) + 7;
    await send(ctx, ctx.api.tx.subtensorModule.serveAxon(ctx.netuid, 1, ip, 8091, 4, 4, 0, 0), minerHotkey);
    const axon = (await ctx.api.query.subtensorModule.axons(ctx.netuid, minerHotkey.address)).unwrap();
    check(axon.port.toNumber() === 8091);
  },
  async stake(ctx) {
    const total = async () =>
      (await ctx.api.query.subtensorModule.totalHotkeyAlpha(ownerHotkey.address, ctx.netuid)).toBigInt();
    const before = await total();
    await send(ctx, ctx.api.tx.subtensorModule.addStake(ownerHotkey.address, ctx.netuid, 10n ** 10n), bob);
    const after = await total();
    check(after > before);
    await send(ctx, ctx.api.tx.subtensorModule.removeStake(ownerHotkey.address, ctx.netuid, 10n ** 9n), bob);
    return `${after - before} rao of alpha`;
  },
  async commitment(ctx) {
    const info = { fields: [{ Raw5: '0x68656c6c6f' }] };
    await send(ctx, ctx.api.tx.commitments.setCommitment(ctx.netuid, info), minerHotkey);
    check((await ctx.api.query.commitments.commitmentOf(ctx.netuid, minerHotkey.address)).isSome);
  },
  async set_weights(ctx) {
    const [owner, miner] = [await uidOf(ctx, ownerHotkey), await uidOf(ctx, minerHotkey)];
    await send(ctx, ctx.api.tx.subtensorModule.setWeights(ctx.netuid, [miner], [65535], 0), ownerHotkey);
    const row = (await ctx.api.query.subtensorModule.weights(ctx.netuid, owner)).toJSON();
    check(JSON.stringify(row) === JSON.stringify([[miner, 65535]]), JSON.stringify(row));
  },
  async commit_reveal(ctx) {
    await sudo(ctx, ctx.api.tx.adminUtils.sudoSetTempo(ctx.netuid, 10));
    await sudo(ctx, ctx.api.tx.adminUtils.sudoSetCommitRevealWeightsEnabled(ctx.netuid, true));
    const miner = await uidOf(ctx, minerHotkey);
    const salt = [1, 2, 3];
    const tuple = ctx.api.createType('(AccountId32, u16, Vec<u16>, Vec<u16>, Vec<u16>, u64)',
      [ownerHotkey.address, ctx.netuid, [miner], [60000], salt, 0]);
    const hash = blake2AsHex(tuple.toU8a(), 256);
    await send(ctx, ctx.api.tx.subtensorModule.commitWeights(ctx.netuid, hash), ownerHotkey);
    for (let tries = 0; ; tries++) {
      try {
        const reveal = ctx.api.tx.subtensorModule.revealWeights(ctx.netuid, [miner], [60000], salt, 0);
        await send(ctx, reveal, ownerHotkey);
        return;
      } catch (error) { // too early: the reveal epoch has not come
        if (tries > 100) throw error;
        await sleep(500);
      }
    }
  },
  async restart(ctx) {
    const head = await ctx.api.rpc.chain.getFinalizedHead();
    const { number } = await ctx.api.rpc.chain.getHeader(head);
    await ctx.api.disconnect();
    await askForRestart();
    ctx.api = await ApiPromise.create({ provider: new WsProvider(url), noInitWarn: true });
    check((await ctx.api.rpc.chain.getBlockHash(number.toNumber())).eq(head), 'a finalised block changed');
    await send(ctx, ctx.api.tx.balances.transferKeepAlive(bob.address, 10n ** 9n), alice);
    return `block ${number} kept`;
  },
};

await run(cells, {});
