// Spring AI with Micrometer's tracing bridged to OpenTelemetry. Run with CLASSPATH, the packages of a Spring Boot project.
import io.micrometer.observation.ObservationRegistry;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.springframework.ai.anthropic.AnthropicChatModel;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.client.advisor.MessageChatMemoryAdvisor;
import org.springframework.ai.chat.client.advisor.vectorstore.QuestionAnswerAdvisor;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.chat.memory.MessageWindowChatMemory;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.ResponseFormat;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.ai.vectorstore.SimpleVectorStore;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;

@SpringBootConfiguration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class SpringAi {
    interface Scenario {
        void run() throws Exception;
    }

    public static class Tools {
        @Tool(name = "get_weather", description = "The weather of a city.")
        public String weather(String city) {
            return "sunny in " + city;
        }

        @Tool(name = "get_time", description = "The time in a city.")
        public String time(String city) {
            return "noon in " + city;
        }
    }

    public static class Broken {
        @Tool(name = "get_weather", description = "The weather of a city.")
        public String weather(String city) {
            throw new IllegalStateException("no weather today");
        }
    }

    public static void main(String[] names) throws Exception {
        String url = System.getenv("PROVIDER_URL");
        var application = new SpringApplication(SpringAi.class);
        application.setWebApplicationType(WebApplicationType.NONE);
        application.setDefaultProperties(Map.ofEntries(
            Map.entry("spring.application.name", "assistant"), Map.entry("spring.main.banner-mode", "off"), Map.entry("logging.level.root", "off"),
            Map.entry("spring.ai.openai.base-url", url + "/openai"), Map.entry("spring.ai.openai.api-key", "test"),
            Map.entry("spring.ai.openai.chat.options.model", "gpt-4o-mini"), Map.entry("spring.ai.openai.embedding.options.model", "text-embedding-3-small"),
            Map.entry("spring.ai.anthropic.base-url", url + "/anthropic"), Map.entry("spring.ai.anthropic.api-key", "test"),
            Map.entry("spring.ai.anthropic.chat.options.model", "claude-sonnet-4-5-20250929"), Map.entry("spring.ai.retry.max-attempts", "1"),
            Map.entry("spring.ai.chat.client.enabled", "false"), Map.entry("spring.ai.tools.observations.include-content", "true"),
            Map.entry("spring.ai.chat.observations.log-prompt", "true"), Map.entry("spring.ai.chat.observations.log-completion", "true"),
            Map.entry("spring.ai.vectorstore.observations.log-query-response", "true"),
            Map.entry("management.tracing.sampling.probability", "1.0"), Map.entry("management.otlp.tracing.endpoint", url + "/otlp/v1/traces"),
            Map.entry("management.opentelemetry.resource-attributes.deployment.environment.name", "test"), Map.entry("management.otlp.metrics.export.enabled", "false")));
        var context = application.run();
        var registry = context.getBean(ObservationRegistry.class);
        var tracers = context.getBean(SdkTracerProvider.class);
        var openai = context.getBean(OpenAiChatModel.class);
        var claude = context.getBean(AnthropicChatModel.class);
        var embeddings = context.getBean(EmbeddingModel.class);
        var memory = MessageChatMemoryAdvisor.builder(MessageWindowChatMemory.builder().build()).build();
        var store = SimpleVectorStore.builder(embeddings).observationRegistry(registry).build();
        var gpt = ChatClient.create(openai, registry);
        var schema = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"],\"additionalProperties\":false}";

        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("chat", () -> openai.call(new Prompt("Capital of France?")));
        scenarios.put("chat_system", () -> openai.call(new Prompt(List.of(new SystemMessage("Answer shortly."), new UserMessage("Capital of France?")),
            OpenAiChatOptions.builder().model("gpt-4o-mini").temperature(0.2).maxTokens(100).topP(0.9).stop(List.of("END")).user("u-1").build())));
        scenarios.put("chat_stream", () -> openai.stream(new Prompt("Capital of France?", OpenAiChatOptions.builder().streamUsage(true).build())).blockLast());
        scenarios.put("chat_stream_nousage", () -> openai.stream(new Prompt("Capital of France?")).blockLast());
        scenarios.put("chat_length", () -> openai.call(new Prompt("#length")));
        scenarios.put("chat_filter", () -> openai.call(new Prompt("#filter")));
        scenarios.put("chat_structured", () -> openai.call(new Prompt("#text Capital?", OpenAiChatOptions.builder()
            .responseFormat(ResponseFormat.builder().type(ResponseFormat.Type.JSON_SCHEMA).jsonSchema(schema).build()).build())));
        scenarios.put("client", () -> gpt.prompt().system("Answer shortly.").user("Capital of France?").call().content());
        scenarios.put("client_stream", () -> gpt.prompt("Capital of France?").stream().content().blockLast());
        scenarios.put("client_tools", () -> gpt.prompt("Weather in Paris?").tools(new Tools()).call().content());
        scenarios.put("client_two_tools", () -> gpt.prompt("#two Weather?").tools(new Tools()).call().content());
        scenarios.put("client_stream_tools", () -> gpt.prompt("Weather in Paris?").tools(new Tools()).stream().content().blockLast());
        scenarios.put("client_memory", () -> {
            for (String question : List.of("Capital of France?", "And of Italy?")) {
                gpt.prompt(question).advisors(memory).advisors(each -> each.param(ChatMemory.CONVERSATION_ID, "session-7")).call().content();
            }
        });
        scenarios.put("client_retrieval", () -> {
            store.add(List.of(new Document("Paris is in France.")));
            gpt.prompt("Capital of France?").advisors(QuestionAnswerAdvisor.builder(store).build()).call().content();
        });
        scenarios.put("embeddings", () -> embeddings.embed(List.of("Paris", "Rome")));
        scenarios.put("anthropic_chat", () -> claude.call(new Prompt("Capital of France?")));
        scenarios.put("anthropic_stream", () -> claude.stream(new Prompt("Capital of France?")).blockLast());
        scenarios.put("anthropic_tools", () -> ChatClient.create(claude, registry).prompt("Weather in Paris?").tools(new Tools()).call().content());
        scenarios.put("error_tool", () -> gpt.prompt("Weather in Paris?").tools(new Broken()).call().content());
        for (String mark : List.of("429", "401", "404", "500", "400-context", "400-filter", "reset")) {
            scenarios.put("error_" + mark.replace("400-", ""), () -> openai.call(new Prompt("#" + mark)));
        }
        scenarios.put("error_stream_429", () -> openai.stream(new Prompt("#429")).blockLast());
        scenarios.put("error_client_429", () -> gpt.prompt("#429").call().content());
        scenarios.put("error_embeddings_429", () -> embeddings.embed("#429"));
        scenarios.put("error_anthropic_529", () -> claude.call(new Prompt("#529")));

        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String name : names.length > 0 ? List.of(names) : List.copyOf(scenarios.keySet())) {
            System.out.println(name);
            lines.readLine();
            int code = 0;
            try {
                scenarios.get(name).run();
            } catch (Exception error) {
                System.err.println(error);
                code = name.startsWith("error") ? 0 : 1;
            }
            Thread.sleep(100);
            tracers.forceFlush().join(10, TimeUnit.SECONDS);
            System.out.println(code);
            lines.readLine();
        }
        System.exit(0);
    }
}
