// An installation whose image is what a test puts into it, beside the agent of the machine's own installation.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sandportHome } from '../../packages/server/src/host/image/installation.ts';

/** First ID outside of containers of runc; set-up shifts the base image's owners by as much. */
const FIRST_ID = 100_000;

export class BareImage implements AsyncDisposable {
  /** For `SANDPORT_HOME`. */
  readonly home: string;

  private constructor(home: string) {
    this.home = home;
  }

  /** @param fill puts the files into the directory that becomes the root of sandboxes */
  static async make(fill: (root: string) => Promise<void>): Promise<BareImage> {
    const image = new BareImage(await mkdtemp(join(tmpdir(), 'sandport-image-')));
    try {
      const own = JSON.parse(await readFile(join(sandportHome(), 'installation.json'), 'utf8'));
      const directory = join(image.home, 'images', 'bare');
      const rootfs = join(directory, 'rootfs');
      await mkdir(rootfs, { recursive: true });
      await fill(rootfs);
      execFileSync('cp', ['--archive', rootfs, join(directory, 'rootfs-shifted')]);
      execFileSync('chown', [
        '--recursive',
        '--no-dereference',
        `${FIRST_ID}:${FIRST_ID}`,
        join(directory, 'rootfs-shifted'),
      ]);
      const baseImage = { name: 'base', version: 'bare', directory };
      await writeFile(join(image.home, 'installation.json'), JSON.stringify({ ...own, baseImage }));
      const described = { name: 'base', version: 'bare', defaultUser: 'root', workdir: '/', env: {} };
      await writeFile(join(directory, 'image.json'), JSON.stringify(described));
    } catch (error) {
      await image[Symbol.asyncDispose]();
      throw error;
    }
    return image;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}
