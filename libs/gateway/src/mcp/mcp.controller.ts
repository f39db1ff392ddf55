import { Controller, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import { TokenStore, type Principal } from '@tyrum/identity';
import type { Request, Response } from 'express';
import { Caller, Needs, ScopeGuard, tokenOf } from '../http/request-principal';
import { McpDoor } from './mcp-door';

@Controller('mcp')
@UseGuards(ScopeGuard)
export class McpController {
  constructor(
    private readonly door: McpDoor,
    private readonly tokens: TokenStore,
  ) {}

  /** One message. Any valid token may ask; each tool wants its own scope. */
  @Post()
  @HttpCode(200)
  @Needs('authenticated')
  async post(@Caller() caller: Principal, @Req() request: Request, @Res() response: Response): Promise<void> {
    const token = tokenOf(request);
    const stillHolds = async (): Promise<boolean> => (await this.tokens.verify(token)) !== undefined;
    await this.door.answer({ caller, request, response, stillHolds });
  }
}
