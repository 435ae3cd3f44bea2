import grpc from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall, UntypedHandleCall } from "@grpc/grpc-js";
import engineRpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import enginePb from "@pulumi/pulumi/proto/engine_pb.js";
import type { LogRequest, SetRootResourceRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import resourceRpc from "@pulumi/pulumi/proto/resource_grpc_pb.js";
import resourcePb from "@pulumi/pulumi/proto/resource_pb.js";
import type {
  ReadResourceRequest,
  RegisterResourceHookRequest,
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
  ResourceInvokeRequest,
} from "@pulumi/pulumi/proto/resource_pb.js";
import empty from "google-protobuf/google/protobuf/empty_pb.js";

import { hashAssets } from "./assets.ts";
import { EngineError, FunctionError } from "./engine-error.ts";
import type { Severity } from "./events.ts";
import { goalOf } from "./goal.ts";
import { invoke } from "./invoke.ts";
import { readExternal } from "./read-external.ts";
import type { Registrar } from "./registrar.ts";
import type { Resource } from "./resource.ts";
import type { Run } from "./run.ts";
import { STACK_TYPE } from "./urn.ts";
import type { ValueMap } from "./values.ts";
import { decodeStruct, encodeStruct } from "./wire.ts";

const { RegisterResourceResponse, ReadResourceResponse, DeploymentInfo, SupportsFeatureResponse } =
  resourcePb;
const { ResourceMonitorFeature: Feature, Result } = resourcePb;

/** What the program may use; the SDK itself refuses the rest with a clear message. */
const FEATURES = [
  [Feature.RESOURCE_MONITOR_FEATURE_SECRETS, "secrets"],
  [Feature.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES, "resourceReferences"],
  [Feature.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES, "outputValues"],
  [Feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS, "aliasSpecs"],
  [Feature.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER, "replacementTrigger"],
  [Feature.RESOURCE_MONITOR_FEATURE_DELETED_WITH, "deletedWith"],
  [Feature.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS, "resourceHooks"],
] as const;

const SEVERITIES: readonly Severity[] = ["debug", "info", "warning", "error"];

type Handler<Q, A> = (request: Q) => Promise<A>;

/** The two services that a program talks to, on one port of the loopback interface. */
export class Monitor {
  readonly #server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  readonly #run: Run;
  readonly #registrar: Registrar;
  readonly #inFlight = new Set<Promise<unknown>>();
  #stackOutputs: ValueMap | undefined;
  readonly #shutdown: Promise<void>;
  #signalShutdown: () => void = () => undefined;
  #release: () => void = () => undefined;
  #shutdownSignalled = false;
  #programErrors = 0;
  #rootUrn = "";

  constructor(run: Run, registrar: Registrar) {
    this.#run = run;
    this.#registrar = registrar;
    this.#shutdown = new Promise((resolve) => (this.#signalShutdown = resolve));
    this.#server.addService(resourceRpc.ResourceMonitorService, this.#resourceMonitor());
    this.#server.addService(engineRpc.EngineService, this.#engine());
  }

  /** What the program exported, once it has said so. */
  get stackOutputs(): ValueMap | undefined {
    return this.#stackOutputs;
  }

  /** True when the program came to its end by itself. */
  get shutdownSignalled(): boolean {
    return this.#shutdownSignalled;
  }

  /** Resolves when the program has come to its end; it stays there, for its hooks, until `release`. */
  get shutdown(): Promise<void> {
    return this.#shutdown;
  }

  /** Lets a program that has come to its end exit. */
  release(): void {
    this.#release();
  }

  /** How many errors the program has logged. */
  get programErrors(): number {
    return this.#programErrors;
  }

  get rootUrn(): string {
    return this.#rootUrn;
  }

  /** Starts to listen; gives `host:port`. */
  async listen(): Promise<string> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return `127.0.0.1:${port}`;
  }

  /** Resolves when nothing that the program asked for is still being done. */
  async drain(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight);
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #resourceMonitor(): Record<string, UntypedHandleCall> {
    return {
      getDeploymentInfo: this.#handle(() => {
        const info = new DeploymentInfo();
        info.setSupportedfeaturesList(FEATURES.map(([id]) => id));
        return Promise.resolve(info);
      }),
      supportsFeature: this.#handle((request: { getId(): string }) => {
        const response = new SupportsFeatureResponse();
        response.setHassupport(FEATURES.some(([, name]) => name === request.getId()));
        return Promise.resolve(response);
      }),
      registerResource: this.#handle((request: RegisterResourceRequest) => this.#register(request)),
      registerResourceOutputs: this.#handle((request: RegisterResourceOutputsRequest) =>
        this.#setOutputs(request),
      ),
      registerResourceHook: this.#handle((request: RegisterResourceHookRequest) => {
        this.#run.hooks.register(request);
        return Promise.resolve(new empty.Empty());
      }),
      readResource: this.#handle((request: ReadResourceRequest) => this.#read(request)),
      invoke: this.#handle((request: ResourceInvokeRequest) => invoke(this.#run, this.#registrar, request)),
      signalAndWaitForShutdown: (_call: unknown, reply: sendUnaryData<InstanceType<typeof empty.Empty>>) => {
        this.#shutdownSignalled = true;
        this.#release = () => reply(null, new empty.Empty());
        this.#signalShutdown();
      },
      ...Object.fromEntries(
        Object.entries(UNKNOWN_METHODS).map(([method, what]) => [
          method,
          this.#handle(() => Promise.reject(new EngineError(`the embedded engine does not know ${what}`))),
        ]),
      ),
    };
  }

  #engine(): Record<string, UntypedHandleCall> {
    return {
      log: this.#handle((request: LogRequest) => {
        const severity = SEVERITIES[request.getSeverity()] ?? "info";
        // The SDK's debug lines hold whole requests, secrets in clear.
        if (severity === "debug") return Promise.resolve(new empty.Empty());
        // A program whose registrations failed says so many times over; the cause has been told already.
        const isEcho = severity === "error" && this.#run.failed;
        if (severity === "error" && !isEcho) this.#programErrors += 1;
        if (!isEcho)
          this.#run.diagnose(severity, request.getMessage(), request.getUrn(), request.getEphemeral());
        return Promise.resolve(new empty.Empty());
      }),
      setRootResource: this.#handle((request: SetRootResourceRequest) => {
        this.#rootUrn = request.getUrn();
        return Promise.resolve(new enginePb.SetRootResourceResponse());
      }),
      getRootResource: this.#handle(() => {
        const response = new enginePb.GetRootResourceResponse();
        response.setUrn(this.#rootUrn);
        return Promise.resolve(response);
      }),
    };
  }

  async #register(request: RegisterResourceRequest): Promise<InstanceType<typeof RegisterResourceResponse>> {
    const response = new RegisterResourceResponse();
    const resource = await this.#registered(request);
    if (resource === undefined) {
      response.setResult(Result.FAIL);
      return response;
    }
    response.setUrn(resource.urn);
    response.setId(resource.id);
    response.setUnknown(this.#registrar.isSkipped(resource.urn));
    response.setObject(encodeStruct(resource.custom ? resource.outputs : {}));
    return response;
  }

  /** A preview goes on past a resource that is not valid, so that the reader sees every one; an update does not. */
  async #registered(request: RegisterResourceRequest): Promise<Resource | undefined> {
    try {
      return await this.#registrar.register(goalOf(request));
    } catch (error) {
      const mayGoOn = this.#run.options.preview && request.getSupportsresultreporting();
      if (!mayGoOn || !(error instanceof EngineError)) throw error;
      this.#run.complain(error.message);
      return undefined;
    }
  }

  async #setOutputs(request: RegisterResourceOutputsRequest): Promise<InstanceType<typeof empty.Empty>> {
    const urn = request.getUrn();
    const outputs = await hashAssets(decodeStruct(request.getOutputs()), this.#run.options.programDirectory);
    // The stack's may come long before the end, and empty when the program failed: they are set when it is over.
    if (urn.split("::")[2] === STACK_TYPE) this.#stackOutputs = outputs;
    else await this.#registrar.components.set(urn, outputs);
    return new empty.Empty();
  }

  async #read(request: ReadResourceRequest): Promise<InstanceType<typeof ReadResourceResponse>> {
    const resource = await readExternal(this.#run, this.#registrar, request);
    const response = new ReadResourceResponse();
    response.setUrn(resource.urn);
    response.setProperties(encodeStruct(resource.outputs));
    return response;
  }

  /**
   * Answers UNAVAILABLE once the run has failed: on that the program ends without further noise. It must not end
   * before what is under way has, whose hooks it may have to answer.
   */
  #handle<Q, A>(handler: Handler<Q, A>): UntypedHandleCall {
    return (call: ServerUnaryCall<Q, A>, reply: sendUnaryData<A>) => {
      const work = handler(call.request).then(
        (answer) => reply(null, answer),
        (error: unknown) => {
          if (error instanceof FunctionError) {
            reply({ code: grpc.status.UNKNOWN, details: error.message });
            return;
          }
          this.#run.fail(error);
          const refuse = (): void => reply({ code: grpc.status.UNAVAILABLE, details: "the run was stopped" });
          queueMicrotask(() => void this.drain().then(refuse));
        },
      );
      this.#inFlight.add(work);
      void work.finally(() => this.#inFlight.delete(work));
    };
  }
}

/** Calls that only programs with features beyond this engine make. */
const UNKNOWN_METHODS: Readonly<Record<string, string>> = {
  call: "methods of resources (call)",
  existsResource: "existence checks of resources",
  registerPackage: "parameterized packages",
  registerStackTransform: "stack transforms",
  registerStackInvokeTransform: "stack transforms of functions",
  registerErrorHook: "error hooks",
};
