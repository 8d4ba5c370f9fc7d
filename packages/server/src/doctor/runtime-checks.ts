// The programs that are run: the OCI runtime and what prepares its surroundings.
import { findProgram } from '@sandport/native/program-path';
import { runCommand } from '../host/run-command.ts';
import { type Check, Complaint } from './check.ts';
import { FoundGood } from './found-good.ts';

/** The first release known to work with the systrap platform here, as its date. */
const OLDEST_RUNSC = 20_240_729;

const programs = {
  ip: 'iproute2',
  nft: 'nftables',
  mount: 'mount',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  sysctl: 'procps',
  'mkfs.ext4': 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  fsfreeze: 'util-linux',
} as const;

function isThere(program: string): boolean {
  try {
    findProgram(program, process.env.PATH, process.cwd());
    return true;
  } catch {
    return false;
  }
}

export const runtimeChecks: readonly Check[] = [
  {
    name: 'runtime',
    async run({ runtime }) {
      const text = await runCommand(runtime, ['--version']).catch(() => {
        throw new Complaint(`${runtime} is not installed or does not run`, 'npm run setup');
      });
      const first = text.split('\n', 1)[0]!.trim();
      const date = Number(/(\d{8})/.exec(first)?.[1]);
      if (runtime === 'runsc' && Number.isFinite(date) && date < OLDEST_RUNSC) {
        throw new Complaint(`${first} is too old: ${OLDEST_RUNSC} or later is needed`, 'npm run setup');
      }
      return first;
    },
  },
  systrapCheck(new FoundGood()),
  {
    name: 'programs',
    async run() {
      const missing = Object.entries(programs).filter(([program]) => !isThere(program));
      if (missing.length === 0) return Object.keys(programs).join(', ');
      const packages = new Set(missing.map(([, debianPackage]) => debianPackage));
      throw new Complaint(
        `not found: ${missing.map(([program]) => program).join(', ')}`,
        `apt-get install ${[...packages].join(' ')}`,
      );
    },
  },
];

/** @param found where it is kept what was found good */
export function systrapCheck(found: FoundGood): Check {
  return {
    name: 'systrap',
    async run({ runtime }, again) {
      if (runtime !== 'runsc') return 'not needed by runc';
      if (!again && found.has('systrap', 'runsc')) return 'gVisor has run a program before';
      const args = ['--platform=systrap', '--network=none', '--ignore-cgroups', '--rootless=false', 'do', '/bin/true'];
      await runCommand('runsc', args, { timeoutMs: 20_000 }).catch((error: Error) => {
        throw new Complaint(`gVisor does not run here: ${error.message}`, 'use --runtime runc, or another kernel');
      });
      await found.add('systrap', 'runsc');
      return 'gVisor runs a program';
    },
  };
}
