import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { type EgressPolicy, EVERYTHING } from '../host/network/egress-policy.ts';
import type { Core } from './core.ts';
import { Networks } from './networks.ts';
import { RecordTable } from './record-table.ts';
import type { RunningSandbox, SandboxStore } from './sandbox-record.ts';

const running = {
  id: 'i1',
  state: 'running',
  generation: 'first',
  spec: {
    templateId: 'base',
    metadata: {},
    secure: false,
    envVars: {},
    defaults: { env: {}, user: 'user', workdir: '/' },
    network: { allowPublicTraffic: true, allowOut: [], denyOut: [] },
  },
  placement: { address: '198.18.0.4' },
} as unknown as RunningSandbox;
const headers = { 'api.example.com': [{ transform: { headers: { 'X-Key': 'one' } } }] };

let records: RecordTable;
let networks: Networks;
/** What was put in force, and when the agent was told. */
let happened: string[];
let at: { agent: () => Promise<void>; egress: (policy: EgressPolicy) => Promise<void> };

beforeEach(() => {
  happened = [];
  at = { agent: async () => {}, egress: async () => {} };
  const store = {
    all: () => [running],
    update: () => {},
    clockOffset: () => undefined,
    shiftTimes: () => {},
  } as unknown as SandboxStore;
  records = new RecordTable(
    store,
    () => {},
    () => {},
  );
  records.load({ bootId: 'boot', ms: 0 });
  networks = new Networks({
    records,
    host: {
      updateAgent: () => {
        happened.push('agent');
        return at.agent();
      },
      setEgress: async (_placement: unknown, policy: EgressPolicy) => {
        happened.push(`deny ${policy.deny.length} read ${policy.transforms.length}`);
        await at.egress(policy);
      },
    },
    tokens: {
      egressAuthority: () => '00'.repeat(32),
      agentControl: () => '',
      agentAccess: () => '',
      loopbackTunnel: () => '',
    },
    domain: 'localhost',
    nameservers: [],
    log: { event: (event: string) => void happened.push(event) },
    now: () => 0,
  } as unknown as Core);
});

const reported = (): string => `deny ${records.get('i1')!.spec.network.denyOut.length}`;

test('what is denied is so before the agent is asked, and nothing is read before it has answered', async () => {
  await networks.update(running, { allowOut: [], denyOut: [EVERYTHING], rules: headers });
  assert.deepEqual(happened, ['deny 1 read 0', 'agent', 'deny 1 read 1']);
});

test('an agent that does not answer keeps no rule from being in force', async () => {
  at.agent = async () => {
    throw new Error('no answer');
  };
  await networks.update(running, { allowOut: [], denyOut: [EVERYTHING], rules: headers });
  assert.deepEqual(happened, ['deny 1 read 0', 'agent', 'agent not told of network rules', 'deny 1 read 1']);
});

test('rules that replace others of the kind are in force at once, and an agent is told afterwards', async () => {
  const before = { ...running, spec: { ...running.spec, network: { ...running.spec.network, rules: headers } } };
  await networks.update(before, { allowOut: [], denyOut: [EVERYTHING], rules: headers });
  await networks.update(before, { allowOut: [], denyOut: [EVERYTHING] });
  assert.deepEqual(happened, ['deny 1 read 1', 'agent', 'deny 1 read 0', 'agent']);
});

test('rules that cannot be put in force are not reported', async () => {
  at.egress = async () => {
    throw new Error('nft failed');
  };
  await assert.rejects(networks.update(running, { allowOut: [], denyOut: [EVERYTHING] }), /nft failed/);
  assert.equal(reported(), 'deny 0');
});

test('rules of which a part cannot be put in force are taken back, and those from before reported', async () => {
  at.egress = async ({ transforms }) => {
    if (transforms.length > 0) throw new Error('nft failed');
  };
  await assert.rejects(networks.update(running, { allowOut: [], denyOut: [EVERYTHING], rules: headers }), /nft failed/);
  assert.equal(happened.at(-1), 'deny 0 read 0');
  assert.equal(reported(), 'deny 0');
});
