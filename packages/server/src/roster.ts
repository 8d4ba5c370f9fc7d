// Members that come and go all the time, such as connections. In a Set they would not be let go: whenever one has had as
// many come and go as it has room for, V8 gives it another table, which the one before goes on to point at. Once one of
// those is old enough, each keeps the next alive, with all that was ever in it, until all of the heap is looked through.

type Seated = Record<symbol, number | undefined>;

const NOWHERE = -1;

export class Roster<Member extends object> implements Iterable<Member> {
  readonly #key: symbol;
  readonly #members: Member[] = [];

  /** @param key property of a member that has its place; it is in one roster of a key at a time */
  constructor(key: symbol) {
    this.#key = key;
  }

  get size(): number {
    return this.#members.length;
  }

  has(member: Member): boolean {
    const place = (member as Seated)[this.#key] ?? NOWHERE;
    return place !== NOWHERE && this.#members[place] === member;
  }

  /** No change when it is in. */
  add(member: Member): void {
    if (this.has(member)) return;
    (member as Seated)[this.#key] = this.#members.push(member) - 1;
  }

  /** @returns whether it was in */
  delete(member: Member): boolean {
    if (!this.has(member)) return false;
    const seated = member as Seated;
    const place = seated[this.#key]!;
    seated[this.#key] = NOWHERE;
    const last = this.#members.pop()!;
    if (last === member) return true;
    this.#members[place] = last;
    (last as Seated)[this.#key] = place;
    return true;
  }

  clear(): void {
    for (const member of this) this.delete(member);
  }

  /** In no order. Whoever leaves meanwhile is left out; whoever comes may be. */
  *[Symbol.iterator](): Generator<Member, void> {
    // From the end: who takes the place of one that leaves has had its turn.
    for (let place = this.#members.length - 1; place >= 0; place--) {
      const member = this.#members[place];
      if (member !== undefined) yield member;
    }
  }
}
