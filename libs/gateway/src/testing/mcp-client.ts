import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** What a tool answered, out of its text. */
export interface ToolAnswer {
  readonly isError: boolean;
  // Tests look at fields of many shapes.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly value: any;
}

/** The SDK's own client on an edge. */
export class McpTestClient {
  private constructor(
    readonly client: Client,
    readonly transport: StreamableHTTPClientTransport,
  ) {}

  static async connect(httpUrl: string, token: string): Promise<McpTestClient> {
    const requestInit = { headers: { authorization: `Bearer ${token}` } };
    const transport = new StreamableHTTPClientTransport(new URL('/mcp', httpUrl), { requestInit });
    const client = new Client({ name: 'test', version: '1.0.0' });
    await client.connect(transport as Parameters<Client['connect']>[0]);
    return new McpTestClient(client, transport);
  }

  async call(name: string, args: object = {}, options?: Parameters<Client['callTool']>[2]): Promise<ToolAnswer> {
    const answer = await this.client.callTool({ name, arguments: { ...args } }, undefined, options);
    const [content] = answer.content as { text: string }[];
    const value: unknown = JSON.parse(content?.text ?? 'null');
    return { isError: answer.isError === true, value };
  }

  /** The code of the error a tool answered. */
  async refused(name: string, args: object = {}): Promise<string | undefined> {
    const { isError, value } = await this.call(name, args);
    return isError ? value.error.code : undefined;
  }

  close(): Promise<void> {
    return this.client.close();
  }
}
