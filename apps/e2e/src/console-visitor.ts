import { ensureInstalled } from '@tyrum/test-services';
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright-core';

export async function startBrowser(): Promise<Browser> {
  ensureInstalled('chromium', 'the tests need chromium on PATH');
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** Somebody in front of the console, in a browser that has not been there before. */
export class ConsoleVisitor {
  /** What the browser complained about: scripts' errors, failed requests, violations of the policy. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly url: string,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      const { url: at } = message.location();
      // The pages of a log-in with a provider have no icon, and browsers ask for one.
      if (['error', 'warning'].includes(message.type()) && !at.endsWith('/favicon.ico')) {
        this.complaints.push(`${message.text()} ${at}`);
      }
    });
  }

  /** @param url the edge's */
  static async comeTo(url: string, browser: Browser): Promise<ConsoleVisitor> {
    const context = await browser.newContext();
    return new ConsoleVisitor(url, context, await context.newPage());
  }

  async open(place = ''): Promise<void> {
    await this.page.goto(`${this.url}/ui/${place}`);
  }

  /** Logs in, and waits until the page hears events. */
  async logIn(token: string): Promise<void> {
    await this.open();
    await this.page.getByLabel('Token').fill(token);
    await this.press('Log in');
    await this.isLive();
  }

  isLive(): Promise<void> {
    return this.page.getByText('Live', { exact: true }).waitFor();
  }

  /** Chooses a page in the menu. */
  async goTo(name: string): Promise<void> {
    await this.menu.getByRole('link', { name, exact: true }).click();
  }

  get menu(): Locator {
    return this.page.getByRole('navigation', { name: 'Pages', exact: true });
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  press(name: string): Promise<void> {
    return this.button(name).click();
  }

  /** Presses, and again to say that it is meant. */
  async confirm(name: string): Promise<void> {
    await this.press(name);
    await this.press(name);
  }

  fill(label: string, text: string): Promise<void> {
    return this.page.getByLabel(label, { exact: true }).fill(text);
  }

  sees(text: string | RegExp): Promise<void> {
    return this.page.getByText(text).waitFor();
  }

  seesRow(name: RegExp): Promise<void> {
    return this.page.getByRole('row', { name }).waitFor();
  }
}
