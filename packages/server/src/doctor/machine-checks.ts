// Root, set-up, disk space, control groups, namespaces.
import { existsSync } from 'node:fs';
import { mkdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DATABASE } from '../data-directory.ts';
import { isUnified } from '../host/cgroups.ts';
import { sharesCopies } from '../host/disk/clone-file.ts';
import { readInstallation } from '../host/image/installation.ts';
import { runCommand } from '../host/run-command.ts';
import { type Check, Complaint } from './check.ts';

const GIB = 1024 ** 3;
const LEAST_DISK_GIB = 5;

export const machineChecks: readonly Check[] = [
  {
    name: 'root',
    async run() {
      if (process.getuid?.() === 0) return 'this is root';
      throw new Complaint('namespaces, mounts and packet filter need root', 'run the same command with sudo');
    },
  },
  {
    name: 'base image and agent',
    async run() {
      const installation = await readInstallation().catch((error: Error) => {
        throw new Complaint(error.message, 'npm run setup');
      });
      return installation.base.image.rootfs;
    },
  },
  {
    name: 'namespaces',
    async run() {
      for (const name of ['pid', 'net', 'ipc', 'uts', 'mnt', 'user', 'cgroup']) {
        if (!existsSync(`/proc/self/ns/${name}`)) {
          throw new Complaint(`the kernel has no ${name} namespaces`, 'boot a kernel with CONFIG_NAMESPACES');
        }
      }
      await runCommand('unshare', ['--net', '--mount', '--pid', '--fork', 'true']).catch((error: Error) => {
        throw new Complaint(error.message, 'run on the machine itself or in a privileged container');
      });
      return 'pid, net, ipc, uts, mnt, user, cgroup';
    },
  },
  {
    name: 'control groups',
    async run() {
      if (isUnified()) {
        const controllers = (await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8')).trim().split(' ');
        const missing = ['memory', 'cpu', 'pids'].filter((name) => !controllers.includes(name));
        if (missing.length === 0) return `version 2 with ${controllers.join(', ')}`;
        throw new Complaint(`version 2 without ${missing.join(', ')}`, 'boot with these controllers enabled');
      }
      const missing = ['memory', 'cpu', 'pids'].filter((name) => !existsSync(`/sys/fs/cgroup/${name}`));
      if (missing.length === 0) return 'version 1 with memory, cpu, pids';
      throw new Complaint(`no ${missing.join(', ')} controller under /sys/fs/cgroup`, 'mount the cgroup hierarchies');
    },
  },
  {
    name: 'disk',
    async run({ data }) {
      await mkdir(data, { recursive: true, mode: 0o711 });
      const { bavail, bsize } = await statfs(data);
      const free = Math.floor((bavail * bsize) / GIB);
      if (free >= LEAST_DISK_GIB) {
        const copies = (await sharesCopies(data)) ? 'copies share their blocks (reflink)' : 'without reflink';
        return `${free} GiB free at ${data}, ${copies}`;
      }
      // What lives there already needs a server most of all when there is no room.
      if (existsSync(join(data, DATABASE))) return `${free} GiB free at ${data}, which is little`;
      throw new Complaint(
        `${free} GiB free at ${data}, at least ${LEAST_DISK_GIB} are needed`,
        'free space, or give --data DIR',
      );
    },
  },
  {
    name: 'loop devices',
    async run() {
      if (existsSync('/dev/loop-control')) return '/dev/loop-control';
      throw new Complaint('/dev/loop-control is missing: disks of sandboxes are files', 'modprobe loop');
    },
  },
];
