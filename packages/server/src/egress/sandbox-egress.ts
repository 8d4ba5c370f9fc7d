// What the proxy and the resolver know of one sandbox: its rules, what it has open, what was counted.
import { type EgressPolicy, type HeaderTransform, NEVER_REACHED } from '../host/network/egress-policy.ts';
import { Roster } from '../roster.ts';
import { AddressRanges } from './address-ranges.ts';
import { DomainPatterns } from './domain-pattern.ts';
import type { Denial, EgressFeed, EgressTraffic } from './messages.ts';

/** Kept of each sandbox. */
const MAX_DENIALS = 100;
const MAX_NAMES = 1000;

const CONNECTION = Symbol('connection');

/** Something that ends when the rules deny it. */
export interface Cuttable {
  cut(): void;
  cutUnlessAllowed(): void;
}

/** The machine's part of what may be reached, the same for all sandboxes. */
export class ReachableRanges {
  readonly #never = new AddressRanges(NEVER_REACHED);
  readonly #permitted: AddressRanges;

  constructor(permitted: readonly string[]) {
    this.#permitted = new AddressRanges(permitted);
  }

  has(address: string): boolean {
    return !this.#never.has(address) || this.#permitted.has(address);
  }
}

export class SandboxEgress {
  readonly address: string;
  readonly connections = new Roster<Cuttable>(CONNECTION);
  readonly traffic: EgressTraffic = { connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 };
  policy!: EgressPolicy;
  readonly #ranges: ReachableRanges;
  readonly #denials = new Map<string, Denial>();
  /** By which name a sandbox came to know an address. */
  readonly #names = new Map<string, string>();
  #allow!: AddressRanges;
  #deny!: AddressRanges;
  #domains!: DomainPatterns<true>;
  #transforms!: DomainPatterns<HeaderTransform>;
  #deniesAll = false;

  constructor(feed: EgressFeed, ranges: ReachableRanges) {
    this.address = feed.address;
    this.#ranges = ranges;
    this.apply(feed);
  }

  /** Takes other rules, and cuts what they deny. */
  apply({ policy }: EgressFeed): void {
    this.policy = policy;
    this.#allow = new AddressRanges(policy.allow);
    this.#deny = new AddressRanges(policy.deny);
    this.#domains = new DomainPatterns(policy.domains.map((domain) => [domain, true]));
    this.#transforms = new DomainPatterns(policy.transforms.map((transform) => [transform.domain, transform]));
    this.#deniesAll = this.#deny.hasAll;
    for (const connection of this.connections) connection.cutUnlessAllowed();
  }

  /** Whether rules ask for the name of what is connected to. */
  get needsNames(): boolean {
    return this.#domains.size > 0 || this.#transforms.size > 0;
  }

  allowsAddress(address: string): boolean {
    return this.#ranges.has(address) && (this.#allow.has(address) || !this.#deny.has(address));
  }

  /** Whether nothing but rules of the machine stands against the address: it belongs to a name that is allowed. */
  allowsAddressOfName(address: string): boolean {
    return this.#ranges.has(address);
  }

  allowsName(name: string): boolean {
    return this.#domains.find(name) === true;
  }

  transformOf(name: string): HeaderTransform | undefined {
    return this.#transforms.find(name);
  }

  /** Whether the resolver answers for the name: where all is denied, questions are a way out too. */
  mayResolve(name: string): boolean {
    return !this.#deniesAll || this.allowsName(name);
  }

  /** Whether only some names are answered for. */
  get resolvesSome(): boolean {
    return this.#deniesAll || this.#transforms.size > 0;
  }

  remember(name: string, addresses: readonly string[]): void {
    for (const address of addresses) {
      this.#names.delete(address);
      this.#names.set(address, name);
      if (this.#names.size > MAX_NAMES) this.#names.delete(this.#names.keys().next().value!);
    }
  }

  nameOf(address: string): string | undefined {
    return this.#names.get(address);
  }

  deny(denial: Omit<Denial, 'at' | 'count'>): void {
    this.traffic.denied++;
    const key = `${denial.protocol} ${denial.name} ${denial.address} ${denial.port} ${denial.reason}`;
    const count = (this.#denials.get(key)?.count ?? 0) + 1;
    this.#denials.delete(key);
    this.#denials.set(key, { ...denial, at: Date.now(), count });
    if (this.#denials.size > MAX_DENIALS) this.#denials.delete(this.#denials.keys().next().value!);
  }

  /** The latest last. */
  get denials(): Denial[] {
    return [...this.#denials.values()];
  }
}
