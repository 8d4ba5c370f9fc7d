// The nftables text of an instance's table. Every slot has chains of its own, found by the interface it sends through.
// A connection that passes its slot's rules gets the mark of these rules, and its packets are not held against them
// again; rules that replace them have another mark, so that what they deny ends with its next packet. Ranges are
// anonymous sets of a rule: nft has to read back all named sets before it adds to one. The same rules are for both
// directions, as sets cost what a change takes: they look at the address that the sandbox connected to, which conntrack
// knows of packets that come in. What it does not know, or takes for a part of something else, such as errors about a
// connection that name another host, does not leave. Segments are kept to what the uplink takes: sandboxes see a wire of
// 1500 bytes, and the errors that would tell them of a narrower one do not come through every network.
import { isIPv4 } from 'node:net';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { EgressPorts } from '../../egress/messages.ts';
import { CUT, freshMark } from './connection-mark.ts';
import { DENIAL_LIFETIME } from './denied-packets.ts';
import { type EgressPolicy, NEVER_REACHED } from './egress-policy.ts';
import { CUT_GROUP, INSIDE_ADDRESS, NEIGHBOUR_ADDRESS } from './slot.ts';
import type { SlotTraffic } from './slot-traffic.ts';

export interface TableNames {
  readonly table: string;
  /** Connections of a slot at once; undefined: as many as it likes. */
  readonly maxConnections: number | undefined;
  /** Of the machine's ends of the slots' veth pairs. */
  readonly interfacePrefix: string;
}

export interface TableOptions extends TableNames {
  readonly blockCidr: string;
  /** Ranges of `NEVER_REACHED` that the operator opens to sandboxes. */
  readonly permitted: readonly string[];
  /** Which the egress process asks. */
  readonly nameservers: readonly string[];
  /** As whom the egress process runs. */
  readonly egressUid: number;
}

/** Denials remembered of all sandboxes, and for how long. */
const DENIALS = `size 65535; timeout ${DENIAL_LIFETIME}s`;
/** Those that lead to others first. */
const SLOT_CHAINS = ['from', 'to', 'rules', 'denied', 'redirect', 'pass', 'mark', 'send', 'receive', 'cut', 'refuse'];

export function tableScript(options: TableOptions, ports: EgressPorts): string {
  const { table, interfacePrefix, blockCidr, permitted, nameservers, egressUid } = options;
  const from = `iifname "${interfacePrefix}*"`;
  const to = `oifname "${interfacePrefix}*"`;
  const leaving = `ip saddr ${blockCidr} oifname != "${interfacePrefix}*"`;
  // A link-local one may have a zone (RFC 4007, section 11), which is no part of what a packet says.
  const addresses = [...new Set(nameservers.map((nameserver) => nameserver.replace(/%.*$/, '')))];
  return `
table inet ${table}
delete table inet ${table}
table inet ${table} {
  map slot_address { type ifname : ipv4_addr; }
  map from_slot { type ifname : verdict; }
  map to_slot { type ifname : verdict; }
  map refused_slot { type ifname : verdict; }
  map redirected_slot { type ifname : verdict; }
  set denials { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags dynamic,timeout; ${DENIALS}; counter; }
  set never { type ipv4_addr; flags interval; elements = { ${NEVER_REACHED.join(', ')} }; }
  set permitted { type ipv4_addr; flags interval; auto-merge; ${elements(permitted)} }
  set nameservers { type ipv4_addr; ${elements(addresses.filter(isIPv4))} }
  set nameservers6 { type ipv6_addr; ${elements(addresses.filter((one) => !isIPv4(one)))} }
  chain refuse {
    ct state established ct mark set ${CUT}
    meta l4proto tcp reject with tcp reset
    drop
  }
  chain translate_in {
    type filter hook prerouting priority raw; policy accept;
    ${from} goto translate_from_slot
  }
  chain translate_from_slot {
    meta nfproto ipv6 drop
    ip saddr != ${INSIDE_ADDRESS} drop
    ip hdrlength > 5 drop
    ip saddr set iifname map @slot_address
  }
  chain translate_out {
    type filter hook postrouting priority 500; policy accept;
    ${to} ip daddr ${blockCidr} ip daddr set ${INSIDE_ADDRESS}
  }
  chain to_resolver {
  }
  chain to_proxy {
  }
  chain from_redirected {
  }
  chain guard_egress_process {
  }
  chain redirection {
    type nat hook prerouting priority dstnat; policy accept;
    ${from} goto redirection_of_slot
  }
  chain redirection_of_slot {
    ip daddr ${NEIGHBOUR_ADDRESS} meta l4proto { tcp, udp } th dport 53 goto to_resolver
    meta l4proto tcp iifname vmap @redirected_slot
  }
  chain cut_off {
    tcp sport ${AGENT_PORT} ct state established ct direction reply accept
    goto refuse
  }
  chain to_machine {
    type filter hook input priority filter; policy accept;
    iifgroup ${CUT_GROUP} ${from} goto cut_off
    ${from} ct status dnat jump from_redirected
    ${from} ct state established ct direction reply accept
    ${from} iifname vmap @refused_slot
    ${from} goto refuse
    ip daddr != 127.0.0.0/8 jump guard_egress_process
  }
  chain through_machine {
    type filter hook forward priority filter; policy accept;
    iifgroup ${CUT_GROUP} ${from} goto refuse
    oifgroup ${CUT_GROUP} ${to} drop
    ${from} ct state new,established iifname vmap @from_slot
    ${from} drop
    ${to} oifname vmap @to_slot
    ${to} drop
  }
  chain egress_process {
    ct state established accept
    meta l4proto { tcp, udp } th dport 53 ip daddr @nameservers accept
    meta l4proto { tcp, udp } th dport 53 ip6 daddr @nameservers6 accept
    meta nfproto ipv6 goto refuse
    fib daddr type local goto refuse
    ip daddr @never ip daddr != @permitted goto refuse
  }
  chain from_egress_process {
    type filter hook output priority filter; policy accept;
    meta skuid ${egressUid} jump egress_process
  }
  chain to_internet {
    type nat hook postrouting priority srcnat; policy accept;
    ${leaving} tcp flags syn tcp option maxseg size set rt mtu
    ${leaving} masquerade
  }
}
${portsScript(options, ports)}`;
}

/** Where resolver and proxy listen, which may change when their process has to be started again. */
export function portsScript({ table }: TableNames, { dns, proxy }: EgressPorts): string {
  const chains = ['to_resolver', 'to_proxy', 'from_redirected', 'guard_egress_process'];
  const add = `add rule inet ${table}`;
  return [
    ...chains.map((chain) => `flush chain inet ${table} ${chain}`),
    `${add} to_resolver meta l4proto { tcp, udp } redirect to :${dns}`,
    `${add} to_proxy meta l4proto tcp redirect to :${proxy}`,
    `${add} from_redirected tcp dport ${proxy} accept`,
    `${add} from_redirected meta l4proto { tcp, udp } th dport ${dns} accept`,
    `${add} guard_egress_process udp dport ${dns} drop`,
    `${add} guard_egress_process tcp dport { ${dns}, ${proxy} } drop`,
    '',
  ].join('\n');
}

/** @param counted what the slot's counters start from */
export function addSlotScript(
  names: TableNames,
  { index, address }: { readonly index: number; readonly address: string },
  counted: SlotTraffic = { connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 },
): string {
  const { table, interfacePrefix, maxConnections } = names;
  const device = `"${interfacePrefix}${index}"`;
  return `
table inet ${table} {
  counter connections_${index} { packets ${counted.connections} bytes 0
  }
  counter sent_${index} { packets 0 bytes ${counted.sentBytes}
  }
  counter received_${index} { packets 0 bytes ${counted.receivedBytes}
  }
  counter denied_${index} { packets ${counted.denied} bytes 0
  }
  chain refuse_${index} {
    counter name denied_${index}
    meta l4proto { tcp, udp } limit rate 5/second burst 20 packets update @denials { ip saddr . ip daddr . meta l4proto . th dport }
    goto refuse
  }
  chain mark_${index} {
  }
  chain send_${index} {
    counter name sent_${index}
    accept
  }
  chain receive_${index} {
    counter name received_${index}
    accept
  }
  chain pass_${index} {
    ${maxConnections === undefined ? '' : `ct state new ct count over ${maxConnections} goto refuse_${index}`}
    ct state new counter name connections_${index}
    jump mark_${index}
    goto send_${index}
  }
  chain from_${index} {
  }
  chain to_${index} {
  }
  chain cut_${index} {
    meta l4proto tcp ct mark != ${CUT} limit rate 50/second burst 2000 packets accept
    drop
  }
  chain denied_${index} {
    iifname ${device} goto refuse_${index}
    goto cut_${index}
  }
  chain rules_${index} {
  }
  chain redirect_${index} {
  }
}
add element inet ${table} slot_address { ${device} : ${address} }
add element inet ${table} from_slot { ${device} : goto from_${index} }
add element inet ${table} to_slot { ${device} : goto to_${index} }
add element inet ${table} refused_slot { ${device} : goto refuse_${index} }
add element inet ${table} redirected_slot { ${device} : goto redirect_${index} }
${markScript(names, index)}`;
}

/** What has passed until now is held against the rules again. */
function markScript({ table }: TableNames, index: number): string {
  const mark = freshMark();
  const chains = ['mark', 'from', 'to'].map((chain) => `flush chain inet ${table} ${chain}_${index}`);
  const add = (chain: string): string => `add rule inet ${table} ${chain}_${index}`;
  return [
    ...chains,
    `${add('mark')} ct mark set ${mark}`,
    `${add('from')} ct mark ${mark} goto send_${index}`,
    `${add('from')} ip daddr @never ip daddr != @permitted goto refuse_${index}`,
    `${add('from')} jump rules_${index}`,
    `${add('from')} goto pass_${index}`,
    `${add('to')} ct mark ${mark} goto receive_${index}`,
    `${add('to')} ct state related accept`,
    `${add('to')} ct state != established drop`,
    `${add('to')} jump rules_${index}`,
    `${add('to')} goto receive_${index}`,
    '',
  ].join('\n');
}

/** Replaces the rules of a slot. */
export function policyScript(names: TableNames, index: number, policy: EgressPolicy): string {
  const { table, interfacePrefix } = names;
  const { allow, deny, domains, transforms, proxy } = policy;
  const device = `"${interfacePrefix}${index}"`;
  const lines = ['rules', 'redirect'].map((chain) => `flush chain inet ${table} ${chain}_${index}`);
  const rule = `add rule inet ${table} rules_${index}`;
  // What was connected before would go on beside the proxy.
  if (proxy !== undefined) lines.push(`${rule} iifname ${device} meta l4proto tcp goto refuse_${index}`);
  if (allow.length > 0) lines.push(`${rule} ct original ip daddr ${set(allow)} return`);
  if (deny.length > 0) lines.push(`${rule} ct original ip daddr ${set(deny)} goto denied_${index}`);
  const redirect = `add rule inet ${table} redirect_${index}`;
  if (proxy !== undefined || transforms.length > 0 || domains.length > 0) {
    lines.push(`${redirect} ip daddr @never ip daddr != @permitted return`, `${redirect} fib daddr type local return`);
  }
  if (proxy !== undefined) lines.push(`${redirect} goto to_proxy`);
  if (transforms.length > 0) lines.push(`${redirect} tcp dport { 80, 443 } goto to_proxy`);
  if (domains.length > 0 && allow.length > 0) lines.push(`${redirect} ip daddr ${set(allow)} return`);
  if (domains.length > 0) lines.push(`${redirect} goto to_proxy`);
  return `${lines.join('\n')}\n${markScript(names, index)}`;
}

export function removeSlotScript(
  { table, interfacePrefix }: TableNames,
  { index, address }: { readonly index: number; readonly address: string },
): string {
  const device = `"${interfacePrefix}${index}"`;
  const chains = SLOT_CHAINS.map((kind) => `${kind}_${index}`);
  const counters = ['connections', 'sent', 'received', 'denied'];
  return [
    `delete element inet ${table} slot_address { ${device} : ${address} }`,
    `delete element inet ${table} from_slot { ${device} : goto from_${index} }`,
    `delete element inet ${table} to_slot { ${device} : goto to_${index} }`,
    `delete element inet ${table} redirected_slot { ${device} : goto redirect_${index} }`,
    `delete element inet ${table} refused_slot { ${device} : goto refuse_${index} }`,
    ...chains.map((chain) => `flush chain inet ${table} ${chain}`),
    ...chains.map((chain) => `delete chain inet ${table} ${chain}`),
    ...counters.map((counter) => `delete counter inet ${table} ${counter}_${index}`),
    '',
  ].join('\n');
}

function set(ranges: readonly string[]): string {
  return `{ ${ranges.join(', ')} }`;
}

function elements(ranges: readonly string[]): string {
  return ranges.length === 0 ? '' : `elements = ${set(ranges)};`;
}
