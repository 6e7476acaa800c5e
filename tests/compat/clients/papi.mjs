// polkadot-api (papi) 2.2.2, unmodified: the unsafe API, which needs no generated descriptors.
import { blake2b256 } from '@polkadot-labs/hdkd-helpers';
import { sr25519CreateDerive } from '@polkadot-labs/hdkd';
import { DEV_MINI_SECRET, ss58Address } from '@polkadot-labs/hdkd-helpers';
import { Binary, createClient } from 'polkadot-api';
import { getPolkadotSigner } from 'polkadot-api/signer';
import { getWsProvider } from 'polkadot-api/ws';
import { WebSocket } from 'ws';
import { askForRestart, run, sleep } from './kit.mjs';

globalThis.WebSocket ??= WebSocket; // Node 20 has none of its own
const url = process.argv[2];
const derive = sr25519CreateDerive(DEV_MINI_SECRET);

function key(path) {
  const pair = derive(path);
  return {
    address: ss58Address(pair.publicKey, 42),
    publicKey: pair.publicKey,
    signer: getPolkadotSigner(pair.publicKey, 'Sr25519', pair.sign),
  };
}

const alice = key('//Alice');
const bob = key('//Bob');
const ownerHotkey = key('//Papi//owner');
const minerHotkey = key('//Papi//miner');
const to = (who) => ({ type: 'Id', value: who.address });

function check(condition, message) {
  if (!condition) throw new Error(message ?? 'not as expected');
}

const shown = (value) =>
  JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v));

function open(ctx) {
  ctx.client = createClient(getWsProvider(url));
  ctx.api = ctx.client.getUnsafeApi();
}

async function send(tx, who) {
  const result = await tx.signAndSubmit(who.signer);
  check(result.ok, shown(result.dispatchError));
  return result;
}

async function sudo(ctx, tx) {
  const result = await send(ctx.api.tx.Sudo.sudo({ call: tx.decodedCall }), alice);
  const done = result.events.find((e) => e.type === 'Sudo' && e.value.type === 'Sudid');
  check(done?.value.value.sudo_result.success, shown(done?.value.value));
}

const best = { at: 'best' };
const subtensor = (ctx, item, ...keys) => ctx.api.query.SubtensorModule[item].getValue(...keys, best);
const uidOf = (ctx, who) => subtensor(ctx, 'Uids', ctx.netuid, who.address);
const free = async (ctx, who) => (await ctx.api.query.System.Account.getValue(who.address, best)).data.free;

async function until(work) { // too early: what it waits for has not come
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(500);
    }
  }
}

const u16s = (values) => [values.length << 2, ...values.flatMap((v) => [v & 255, v >> 8])];

const cells = {
  async connect(ctx) {
    open(ctx);
    const spec = await ctx.client.getChainSpecData();
    const { spec_version } = await ctx.api.constants.System.Version();
    return `${spec.name} spec ${spec_version}`;
  },
  async read(ctx) {
    check((await free(ctx, alice)) > 10n ** 9n);
    const networks = await ctx.api.query.SubtensorModule.NetworksAdded.getEntries();
    check(networks.some(({ keyArgs: [netuid] }) => netuid === 1));
    await ctx.api.apis.NeuronInfoRuntimeApi.get_neurons_lite(1);
    check((await ctx.api.constants.Balances.ExistentialDeposit()) === 500n);
    return `${networks.length} networks`;
  },
  async subscribe(ctx) {
    const seen = await new Promise((resolve, reject) => {
      const numbers = [];
      const following = ctx.client.finalizedBlock$.subscribe({
        next({ number }) {
          numbers.push(number);
          if (numbers.length === 3) {
            following.unsubscribe();
            resolve(numbers);
          }
        },
        error: reject,
      });
    });
    check(seen[2] === seen[0] + 2, `${seen}`);
    return `blocks ${seen}`;
  },
  async transfer(ctx) {
    const before = await free(ctx, bob);
    const tx = ctx.api.tx.Balances.transfer_keep_alive({ dest: to(bob), value: 10n ** 9n });
    const fee = await tx.getEstimatedFees(alice.address);
    const result = await send(tx, alice);
    check((await free(ctx, bob)) - before === 10n ** 9n);
    return `block ${result.block.number}, fee ${fee}`;
  },
  async sudo_hyperparameter(ctx) {
    const set = ctx.api.tx.AdminUtils;
    await sudo(ctx, set.sudo_set_tempo({ netuid: 1, tempo: 99 }));
    check((await subtensor(ctx, 'Tempo', 1)) === 99);
    await sudo(ctx, set.sudo_set_network_rate_limit({ rate_limit: 0n }));
    await sudo(ctx, set.sudo_set_tx_rate_limit({ tx_rate_limit: 0n }));
    await sudo(ctx, set.sudo_set_admin_freeze_window({ window: 0 }));
  },
  async register_subnet(ctx) {
    const tx = ctx.api.tx;
    await sudo(ctx, tx.Balances.force_set_balance({ who: to(bob), new_free: 10n ** 15n }));
    const result = await send(tx.SubtensorModule.register_network({ hotkey: ownerHotkey.address }), bob);
    const added = result.events.find((e) => e.value.type === 'NetworkAdded');
    [ctx.netuid] = added.value.value;
    const { netuid } = ctx;
    const set = tx.AdminUtils;
    await sudo(ctx, set.sudo_set_commit_reveal_weights_enabled({ netuid, enabled: false }));
    await sudo(ctx, set.sudo_set_weights_set_rate_limit({ netuid, weights_set_rate_limit: 0n }));
    await until(() => send(tx.SubtensorModule.start_call({ netuid }), bob));
    return `netuid ${netuid}`;
  },
  async register_neuron(ctx) {
    const { netuid } = ctx;
    await send(ctx.api.tx.SubtensorModule.burned_register({ netuid, hotkey: minerHotkey.address }), bob);
    const uid = await uidOf(ctx, minerHotkey);
    check(uid !== undefined);
    return `uid ${uid}`;
  },
  async serve_axon(ctx) {
    for (const who of [ownerHotkey, minerHotkey]) {
      await sudo(ctx, ctx.api.tx.Balances.force_set_balance({ who: to(who), new_free: 10n ** 11n }));
    }
    const axon = {
      netuid: ctx.netuid, version: 1, ip: 3405803783n, port: 8091, ip_type: 4, protocol: 4,
      placeholder1: 0, placeholder2: 0,
    };
    await send(ctx.api.tx.SubtensorModule.serve_axon(axon), minerHotkey);
    check((await subtensor(ctx, 'Axons', ctx.netuid, minerHotkey.address)).port === 8091);
  },
  async stake(ctx) {
    const { netuid } = ctx;
    const hotkey = ownerHotkey.address;
    const total = () => subtensor(ctx, 'TotalHotkeyAlpha', hotkey, netuid);
    const before = await total();
    const tx = ctx.api.tx.SubtensorModule;
    await send(tx.add_stake({ hotkey, netuid, amount_staked: 10n ** 10n }), bob);
    const after = await total();
    check(after > before);
    await send(tx.remove_stake({ hotkey, netuid, amount_unstaked: 10n ** 9n }), bob);
    return `${after - before} rao of alpha`;
  },
  async commitment(ctx) {
    // papi unwraps structs of one field: no { fields: ... }
    const info = [{ type: 'Raw5', value: Binary.toHex(Binary.fromText('hello')) }];
    await send(ctx.api.tx.Commitments.set_commitment({ netuid: ctx.netuid, info }), minerHotkey);
    const stored = await ctx.api.query.Commitments.CommitmentOf.getValue(
      ctx.netuid, minerHotkey.address, best);
    check(stored.info[0].type === 'Raw5', shown(stored));
  },
  async set_weights(ctx) {
    const { netuid } = ctx;
    const [owner, miner] = [await uidOf(ctx, ownerHotkey), await uidOf(ctx, minerHotkey)];
    const tx = ctx.api.tx.SubtensorModule.set_weights({
      netuid, dests: [miner], weights: [65535], version_key: 0n });
    await send(tx, ownerHotkey);
    const row = await subtensor(ctx, 'Weights', netuid, owner);
    check(shown(row) === shown([[miner, 65535]]), shown(row));
  },
  async commit_reveal(ctx) {
    const { netuid } = ctx;
    const set = ctx.api.tx.AdminUtils;
    await sudo(ctx, set.sudo_set_tempo({ netuid, tempo: 20 }));
    await sudo(ctx, set.sudo_set_commit_reveal_weights_enabled({ netuid, enabled: true }));
    const miner = await uidOf(ctx, minerHotkey);
    const [uids, values, salt] = [[miner], [60000], [1, 2, 3]];
    const body = [...ownerHotkey.publicKey, netuid & 255, netuid >> 8,
      ...u16s(uids), ...u16s(values), ...u16s(salt), 0, 0, 0, 0, 0, 0, 0, 0];
    const hash = blake2b256(Uint8Array.from(body));
    const commit_hash = Binary.toHex(hash);
    const tx = ctx.api.tx.SubtensorModule;
    await send(tx.commit_weights({ netuid, commit_hash }), ownerHotkey);
    const reveal = tx.reveal_weights({ netuid, uids, values, salt, version_key: 0n });
    await until(() => send(reveal, ownerHotkey));
  },
  async restart(ctx) {
    const { hash, number } = await ctx.client.getFinalizedBlock();
    ctx.client.destroy();
    await askForRestart();
    open(ctx);
    const now = await until(() => ctx.client.getFinalizedBlock());
    check(now.number >= number, `${now.number} after ${number}`);
    await send(ctx.api.tx.Balances.transfer_keep_alive({ dest: to(bob), value: 10n ** 9n }), alice);
    return `block ${number} ${hash.slice(0, 10)} was final before`;
  },
};

await run(cells, {});
