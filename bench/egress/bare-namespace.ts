// The peer: a namespace behind a veth pair, forwarded and masqueraded by one rule, with nothing of Sandport around it.
// What it has more, a bench adds itself.
import { runCommand } from '@sandport/server/host/run-command';

export class BareNamespace implements AsyncDisposable {
  readonly name: string;
  /** The machine's end of the pair, and its address. */
  readonly device: string;
  readonly machine: string;
  readonly #table: string;

  private constructor(index: number) {
    this.name = `egress-bench-bare-${index}`;
    this.device = `egressbare${index}`;
    this.machine = `198.51.100.${index * 4 + 1}`;
    this.#table = `egress_bench_bare_${index}`;
  }

  /** @param index of one of those that are there at once, below 63 */
  static async open(index: number): Promise<BareNamespace> {
    const bare = new BareNamespace(index);
    await bare.#remove();
    const { name, device, machine } = bare;
    await ip([
      `netns add ${name}`,
      `link add ${device} type veth peer name eth0 netns ${name}`,
      `link set ${device} up`,
      `address add ${machine}/30 dev ${device}`,
    ]);
    await ip(
      [
        'link set lo up',
        `address add 198.51.100.${index * 4 + 2}/30 dev eth0`,
        'link set eth0 up',
        `route add default via ${machine}`,
      ],
      ['-n', name],
    );
    await bare.#addChain('out', 'postrouting priority srcnat', [`iifname "${device}" masquerade`]);
    return bare;
  }

  /** Leads what goes to a port outside to one of the machine. */
  async redirect(ports: ReadonlyMap<number, number>): Promise<void> {
    const rules = [...ports].map(([from, to]) => `iifname "${this.device}" tcp dport ${from} redirect to :${to}`);
    await this.#addChain('in', 'prerouting priority dstnat', rules);
  }

  async #addChain(name: string, hook: string, rules: readonly string[]): Promise<void> {
    const lines = [`type nat hook ${hook}; policy accept;`, ...rules];
    const input = `table ip ${this.#table} {\nchain ${name} {\n${lines.join('\n')}\n}\n}\n`;
    await runCommand('nft', ['-f', '-'], { input });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remove();
  }

  async #remove(): Promise<void> {
    await runCommand('ip', ['link', 'delete', this.device]).catch(() => {});
    await runCommand('ip', ['netns', 'delete', this.name]).catch(() => {});
    await runCommand('nft', ['delete', 'table', 'ip', this.#table]).catch(() => {});
  }
}

async function ip(lines: readonly string[], args: readonly string[] = []): Promise<void> {
  await runCommand('ip', [...args, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
