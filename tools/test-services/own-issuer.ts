import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface OwnIssuerOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUri: string;
  /** Where the provider tells of groups. */
  readonly groupsIn?: 'id_token' | 'userinfo';
}

/** Who logs in next, and what is wrong with it. */
export interface NextLogin {
  readonly sub?: string;
  readonly groups?: unknown;
  /** What is wrong with ID tokens from now on, as `oidc-issuer.mjs` knows it. */
  readonly fault?: string;
  /** The user says no. */
  readonly deny?: boolean;
}

/** An OpenID provider of the test's own. */
export interface OwnIssuer {
  readonly url: string;
  next(login: NextLogin): Promise<void>;
  stop(): Promise<void>;
}

/** Starts `oidc-issuer.mjs`; resolves when it listens. */
export async function startOwnIssuer(options: OwnIssuerOptions): Promise<OwnIssuer> {
  const script = join(__dirname, 'oidc-issuer.mjs');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'pipe'] });
  process.once('exit', () => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const failed = exited.then(() => Promise.reject(new Error(`the issuer ended: ${said}`)));
  failed.catch(() => undefined);
  const url = await Promise.race([
    failed,
    new Promise<string>((resolve) => lines.on('line', (line) => line.startsWith('http') && resolve(line))),
  ]);
  return {
    url,
    next: async (login) => void (await fetch(`${url}/test`, { method: 'POST', body: JSON.stringify(login) })),
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** A browser, as far as logging in needs one: it keeps cookies by host and path and shows every hop. */
export class TestBrowser {
  readonly cookies = new Map<string, { readonly value: string; readonly path: string }>();

  /** One request, with the cookies that are for it; what the answer sets is kept. */
  async get(url: string, headers: Record<string, string> = {}): Promise<Response> {
    const { host, pathname } = new URL(url);
    const own = [...this.cookies]
      .filter(([key, { path }]) => key.startsWith(`${host} `) && pathname.startsWith(path))
      .map(([key, { value }]) => `${key.slice(host.length + 1)}=${value}`);
    const answer = await fetch(url, { redirect: 'manual', headers: { ...headers, cookie: own.join('; ') } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /; ?path=([^;]+)/i.exec(line)?.[1] ?? '/';
      if (value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) this.cookies.delete(`${host} ${name}`);
      else this.cookies.set(`${host} ${name}`, { value, path });
    }
    return answer;
  }

  /** Follows redirects until the next one would go to `stopAt`, and returns that address. */
  async follow(url: string, stopAt: string): Promise<string> {
    let at = url;
    for (let hops = 0; hops < 20; hops += 1) {
      if (at.startsWith(stopAt)) return at;
      const answer = await this.get(at);
      const place = answer.headers.get('location');
      if (place === null) throw new Error(`${at} answered ${answer.status}: ${(await answer.text()).slice(0, 500)}`);
      at = new URL(place, at).href;
    }
    throw new Error(`redirected for ever from ${url}`);
  }
}
