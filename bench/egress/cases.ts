// What is measured: clients at different places, each under rules of several kinds.
import { toDotted } from '@sandport/server/egress/address-ranges';
import { type EgressPolicy, EVERYTHING, OPEN } from '@sandport/server/host/network/egress-policy';
import type { RuntimeName } from '../support/bare-container.ts';

/** The name of the host outside. */
export const NAME = 'allowed.test';
/** Programs of the machine, which do most by the second, and those of a sandbox. */
export const PLACES: readonly Place[] = ['machine', 'runc', 'runsc'];

export type Place = 'machine' | RuntimeName;
export type Kind = 'plain' | 'tls';

/** Clients that are the same but for their way: each group has a slot and a bare pair. */
export interface Group {
  readonly place: Place;
  readonly kind: Kind;
}

export interface Case {
  readonly label: string;
  readonly group: Group;
  /** Of the slot, or the peer of rules by name. */
  readonly way: EgressPolicy | 'haproxy';
}

export const GROUPS: readonly Group[] = PLACES.flatMap((place) =>
  (['plain', 'tls'] as const).map((kind) => ({ place, kind })),
);

export const BY_NAME: EgressPolicy = { ...OPEN, domains: [NAME], deny: [EVERYTHING] };

export const CASES: readonly Case[] = GROUPS.flatMap((group) => {
  const { place, kind } = group;
  // Addresses are the same to the packet filter, whatever is sent to them.
  const counts = kind === 'tls' ? [] : place === 'machine' ? [1, 100, 10_000] : [10_000];
  return [
    { label: 'no rules', group, way: OPEN },
    ...counts.map((count) => ({ label: `${count} ranges`, group, way: ranges(count) })),
    { label: 'by name', group, way: BY_NAME },
    ...(place === 'machine' ? [{ label: 'HAProxy', group, way: 'haproxy' as const }] : []),
  ];
});

/** Denied ranges, none of which is looked for: the host that is asked stands behind all of them. */
function ranges(count: number): EgressPolicy {
  return { ...OPEN, deny: Array.from({ length: count }, (_, index) => `${toDotted(2 ** 24 + index * 512)}/24`) };
}
