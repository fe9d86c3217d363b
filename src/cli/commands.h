// One declaration per subcommand; each is defined in the file of its name.

#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace nemotron::cli {

std::function<int()> define_bench(CLI::App& app);
std::function<int()> define_chat(CLI::App& app);
std::function<int()> define_generate(CLI::App& app);
std::function<int()> define_inspect(CLI::App& app);
std::function<int()> define_logits(CLI::App& app);
std::function<int()> define_make_random(CLI::App& app);
std::function<int()> define_parse(CLI::App& app);
std::function<int()> define_plan(CLI::App& app);
std::function<int()> define_render(CLI::App& app);
std::function<int()> define_score(CLI::App& app);
std::function<int()> define_tokenize(CLI::App& app);
std::function<int()> define_version(CLI::App& app);

}  // namespace nemotron::cli
