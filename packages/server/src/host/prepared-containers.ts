// Containers in which nothing runs yet. What comes out of a snapshot goes on in one, and waits neither for the runtime's
// own start nor for the control groups to be joined.
import { isDeepStrictEqual } from 'node:util';
import type { Containers } from './containers.ts';
import type { Place } from './placement.ts';
import { Preparations } from './preparations.ts';
import type { ContainerBasis } from './runtime/runtime.ts';
import { WarmPool } from './warm/warm-pool.ts';

export interface PreparedContainersOptions {
  readonly containers: Containers;
  /** Those kept ahead of time are made from this: others would wait for snapshots that few have. */
  readonly basis: ContainerBasis;
  /** How many are kept ahead of time at most; 0 where the runtime cannot prepare any. */
  readonly most: number;
  /** Keeps memory for one that is being made; throws where there is none. */
  readonly reserveAhead: () => Disposable;
  /** Whether there is anything that could be brought back. */
  readonly isWanted: () => boolean;
  readonly onError: (error: unknown) => void;
}

export class PreparedContainers {
  readonly #options: PreparedContainersOptions;
  readonly #pool: WarmPool<Place>;
  /** For forks, whose snapshot takes about as long to write as a container to make. */
  readonly #forSnapshot: Preparations<Place>;

  constructor(options: PreparedContainersOptions) {
    const { containers, basis, most, reserveAhead, isWanted, onError } = options;
    const destroy = ({ placement }: Place): Promise<void> => containers.remove(placement);
    this.#options = options;
    this.#pool = new WarmPool<Place>({
      bounds: {
        most,
        get least() {
          return isWanted() ? Math.min(1, most) : 0;
        },
      },
      make: async () => {
        using _room = reserveAhead();
        return await containers.prepare(basis);
      },
      destroy,
      isUsable: ({ placement }) => containers.isAlive(placement.container),
      onError,
    });
    this.#forSnapshot = new Preparations<Place>({ destroy, onError });
  }

  /** One for a start from the snapshot; undefined when there is none. */
  async take(snapshot: string, basis: ContainerBasis): Promise<Place | undefined> {
    return (await this.#forSnapshot.take(snapshot)) ?? (await this.#takeReady(basis));
  }

  /** Makes one in the background for the first start from a snapshot that is about to be written. */
  begin(snapshot: string, basis: ContainerBasis): void {
    this.#forSnapshot.begin(
      snapshot,
      async () => (await this.#takeReady(basis)) ?? (await this.#options.containers.prepare(basis)),
    );
  }

  /** Ends the one that was made for the snapshot, if nobody has taken it. */
  end(snapshot: string): Promise<void> {
    return this.#forSnapshot.end(snapshot);
  }

  /** Somebody waits: until a moment after the end of it none is made ahead of time. */
  hold(): Disposable {
    return this.#pool.hold();
  }

  /** Makes or ends some in the background, until there are as many as are wanted. */
  adjust(): void {
    this.#pool.adjust();
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#forSnapshot.close()]);
  }

  async #takeReady(basis: ContainerBasis): Promise<Place | undefined> {
    return isDeepStrictEqual(basis, this.#options.basis) ? this.#pool.take() : undefined;
  }
}
