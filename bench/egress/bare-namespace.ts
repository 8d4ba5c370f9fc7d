// The peer: a namespace behind a veth pair, forwarded and masqueraded by one rule, with nothing of Sandport around it.
import { runCommand } from '@sandport/server/host/run-command';

const DEVICE = 'egressbare';
const TABLE = 'egress_bench_bare';

export class BareNamespace implements AsyncDisposable {
  readonly name = 'egress-bench-bare';

  static async open(): Promise<BareNamespace> {
    const bare = new BareNamespace();
    await bare.#remove();
    const { name } = bare;
    await ip([
      `netns add ${name}`,
      `link add ${DEVICE} type veth peer name eth0 netns ${name}`,
      `link set ${DEVICE} up`,
      `address add 198.51.100.1/30 dev ${DEVICE}`,
    ]);
    await ip(
      [
        'link set lo up',
        'address add 198.51.100.2/30 dev eth0',
        'link set eth0 up',
        'route add default via 198.51.100.1',
      ],
      ['-n', name],
    );
    const rule = `iifname "${DEVICE}" masquerade`;
    const chain = 'type nat hook postrouting priority srcnat; policy accept;';
    await runCommand('nft', ['-f', '-'], { input: `table ip ${TABLE} {\nchain out {\n${chain}\n${rule}\n}\n}\n` });
    return bare;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remove();
  }

  async #remove(): Promise<void> {
    await runCommand('ip', ['link', 'delete', DEVICE]).catch(() => {});
    await runCommand('ip', ['netns', 'delete', this.name]).catch(() => {});
    await runCommand('nft', ['delete', 'table', 'ip', TABLE]).catch(() => {});
  }
}

async function ip(lines: readonly string[], args: readonly string[] = []): Promise<void> {
  await runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
