// What the node scripts share; see kit.py. Each cell prints one JSON line {cell, ok, note}.
import { createInterface } from 'node:readline';

const NAMES = ['connect', 'read', 'subscribe', 'transfer', 'sudo_hyperparameter', 'register_subnet',
  'register_neuron', 'serve_axon', 'stake', 'commitment', 'set_weights', 'commit_reveal', 'restart'];
const lines = createInterface({ input: process.stdin });
const waiting = [];
lines.on('line', () => waiting.shift()?.());

export function askForRestart() {
  console.log(JSON.stringify({ ask: 'restart' }));
  return new Promise((resolve) => waiting.push(resolve));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function limited(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function run(cells, context) {
  const wanted = process.argv[3] ? new Set(process.argv[3].split(',')) : new Set(NAMES);
  for (const name of NAMES) {
    if (!cells[name] || !wanted.has(name)) continue;
    const started = Date.now();
    let ok = true, note = '';
    try {
      note = (await limited(cells[name](context), 120000)) ?? '';
    } catch (error) {
      ok = false;
      note = String(error?.message ?? error).slice(0, 300);
      console.error(error);
    }
    const seconds = (Date.now() - started) / 1000;
    console.log(JSON.stringify({ cell: name, ok, note: String(note), seconds }));
  }
  process.exit(0);
}
