// The program: everything is in cli/.

#include "cli/command.h"

int main(int argc, char** argv) { return nemotron::cli::run(argc, argv); }
